"""Pages of studies and comparisons: computed from results alone, complete, and nothing in them acts."""

from __future__ import annotations

import dataclasses
import re
import shutil
import struct
import subprocess

import pytest
from fabricated import fabricate, write
from test_run_report import HOSTILE, Page, nothing_acts

from afterbert.base.errors import UserError
from afterbert.cli.main import run as command
from afterbert.report.comparison import comparison_of
from afterbert.report.study_pages import index_page, study_page, write_index, write_study_page
from afterbert.study.claims import claims
from afterbert.study.design import Published
from afterbert.study.results import (
    ArmResult,
    Compared,
    Cost,
    JudgedResult,
    MeasureResult,
    StudyResults,
    TextResult,
    write_results,
)


def arm(why, changes, start):
    curve = [(1e5, start), (1e6, start + 0.2)]
    return ArmResult(why, changes, 3e-3, Cost(500, 1e6, 2e12, 92.0), ["laptop-1"] * 3, [curve] * 3)


GAP = Compared(0.047, 0.02, 0.07, 0.03)
SHARE = MeasureResult(
    title="frequent word named",
    unit="share",
    higher_is_better=True,
    is_cost=False,
    favours="",
    values={"piece": [0.2, 0.21, 0.22], "word": [0.25, 0.25, 0.27]},
    means={"piece": 0.21, "word": 0.257},
    deviations={"piece": 0.01, "word": 0.0115},
    against_first={"word": GAP},
    rows=192,
)
BITS = dataclasses.replace(SHARE, title="bits", unit="number", higher_is_better=False, favours="the arm piece")
SPEED = dataclasses.replace(SHARE, title="speed", unit="number", is_cost=True, rows=0)


def results(**changes) -> StudyResults:
    """Two arms, three seeds, one expectation that holds."""
    unit = {"objective.pretext.edits.0.selection.unit": ("piece", "word")}
    found = StudyResults(
        name="masking-unit",
        scale="minutes",
        question="Whole words?",
        claims=[5],
        base="laptop",
        size="tiny",
        hold="tokens",
        settings={"masking.rate": "0.15"},
        seeds=3,
        searched=False,
        measure="missing_word",
        smallest=0.01,
        first="piece",
        text=TextResult(["novels.jsonl"], 900, 6_900_000, 140_000, 8000, "abcdef0123456789"),
        arms={"piece": arm("BERT's", {}, 0.1), "word": arm("whole words", unit, 0.12)},
        measures={"missing_word": SHARE, "bits_per_byte": BITS, "tokens_per_second": SPEED},
        judged=[JudgedResult("word > piece", [5, 6], GAP, 0.002, 0.9, "supported")],
        verdict="supported",
        notes=["A note."],
        published=Published("A paper", "Table 6", ("F1", "EM"), {"word": (84.3, None)}, "Words are better."),
        command="afterbert study masking-unit --text MINE",
        machine="2 cores",
    )
    return dataclasses.replace(found, **changes)


def page_of(found: StudyResults, folder) -> Page:
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder / "results.json", found)
    return Page(write_study_page(folder))


def test_a_page_answers_its_question(tmp_path):
    page = page_of(results(), tmp_path / "study")
    nothing_acts(page)
    assert "word > piece: supported (+4.7 points, +2.0 to +7.0)." in page.text
    assert "objective.pretext.edits.0.selection.unit: piece → word" in page.text
    assert "bits favours by construction: the arm piece" in page.text
    assert "Words are better." in page.text
    assert "afterbert study masking-unit --text MINE" in page.text
    circles = [found for tag, found in page.elements if tag == "circle"]
    assert len(circles) == 2 * 6, "each seed of each arm is a dot, in each figure that is no cost"
    paths = [found for tag, found in page.elements if tag == "path"]
    assert len(paths) == 6, "each seed has a curve"


def test_a_long_difference_is_folded(tmp_path):
    long = {"objective.members": ("absent", "[" + ", ".join(f"member {number}" for number in range(60)) + "]")}
    page = page_of(results(arms={"piece": arm("BERT's", {}, 0.1), "word": arm("whole words", long, 0.12)}), tmp_path)
    assert len([tag for tag, _ in page.elements if tag == "summary"]) == 1
    assert "member 59]" in page.text


def test_arms_at_the_floor_are_said_to_be_there(tmp_path):
    low = JudgedResult("word > piece", [5], GAP, 0.9, 0.002, "not separable at this scale", at_floor=True)
    measures = {"missing_word": dataclasses.replace(SHARE, floor=0.208)}
    text = page_of(results(measures=measures, judged=[low]), tmp_path / "a").text
    assert "Neither arm does better than one that learned nothing (20.8%)." in text
    assert "what chance, guessing or random weights get" in text
    assert "learned nothing" not in page_of(results(), tmp_path / "b").text


def test_a_page_names_the_labelled_tasks(tmp_path):
    assert "Labelled tasks: trec, sst2." in page_of(results(tasks=["trec", "sst2"]), tmp_path / "a").text
    assert "Labelled tasks:" not in page_of(results(), tmp_path / "b").text


def test_the_same_results_make_the_same_page(tmp_path):
    found = results()
    assert study_page(found).html() == study_page(found).html()
    write_results(tmp_path / "results.json", found)
    first = write_study_page(tmp_path).read_bytes()
    assert write_study_page(tmp_path).read_bytes() == first


def test_a_study_at_smoke_says_that_nothing_follows(tmp_path):
    assert "nothing follows from it" in page_of(results(scale="smoke"), tmp_path / "a").text
    assert "nothing follows from it" not in page_of(results(), tmp_path / "b").text


def test_arms_that_were_not_asked_leave_a_gap(tmp_path):
    alone = {"values": {"piece": [0.2]}, "means": {"piece": 0.2}, "deviations": {"piece": None}}
    one = dataclasses.replace(SHARE, **alone, against_first={})
    page = page_of(results(measures={"missing_word": one}, judged=[]), tmp_path / "study")
    nothing_acts(page)
    assert "Nothing was asked of the runs." in page.text


def test_hostile_names_are_shown_as_text(tmp_path):
    found = results(question=HOSTILE, notes=[HOSTILE], text=TextResult([HOSTILE], 1, 2, 3, 4, HOSTILE))
    page = page_of(found, tmp_path / "study")
    nothing_acts(page)
    markdown = (tmp_path / "study" / "report.md").read_text(encoding="utf-8")
    assert "<" not in markdown
    for table in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_the_index_has_a_row_for_every_claim(tmp_path):
    assert list(claims()) == list(range(1, 46))
    page = index_page([("masking-unit/report.html", results())])
    assert "What happens after BERT?" in page.lead[0]
    grid = page.sections[0].grid
    assert {row[0] for row in grid.rows} == {str(number) for number in claims()}
    (five,) = [row for row in grid.rows if row[0] == "5"]
    assert five[2:6] == ("word > piece", "supported", "+4.7 points, +2.0 to +7.0", "minutes")
    page_of(results(), tmp_path / "masking-unit-minutes-1")
    html = write_index(tmp_path).read_text()
    assert 'href="masking-unit-minutes-1/report.html"' in html


def test_the_index_leads_to_folders_of_any_name(tmp_path):
    (tmp_path / "50% #1").mkdir()
    write_results(tmp_path / "50% #1" / "results.json", results())
    assert 'href="50%25%20%231/report.html"' in write_index(tmp_path).read_text()


def test_results_that_are_none_are_told_with_their_place(tmp_path):
    (tmp_path / "results.json").write_text('{"format": 1}')
    with pytest.raises(UserError, match="results.json: name: Field required"):
        write_study_page(tmp_path)


def shared(value, rows):
    return {"name": "which word", "value": value, "beside": {}, "count": 8 * len(rows), "rows": rows}


def evaluated(run, value, rows):
    write(run, "evaluation.json", {"shared": shared(value, rows), "without_training": []})
    return run


@pytest.fixture
def pair(tmp_path):
    """Two runs that were asked the same 40 rows."""
    runs = []
    for name, right in (("a", 2), ("b", 5)):
        run = fabricate(tmp_path / name, steps=40)
        runs.append(evaluated(run, right / 8, [[right + (number % 2), 8] for number in range(40)]))
        data = {"tokenizer": {"vocab_size": 100}, "splits": {"held_out": {"pieces": 5}}}
        write(run, "data.json", data)
    return runs


RECIPE = """\
title: {title}
tokenizer: {{type: bpe}}
model: {{type: encoder, num_hidden_layers: 2, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}}
objective: {{type: masked_lm, pretext: {{pairing: packed, edits: [{{selection: {{type: fixed_count, rate: {rate}}},
  corruption: mask}}], answers: [in_place]}}}}
training: {{budget: 10steps}}
"""


def test_runs_are_laid_side_by_side(pair, tmp_path, capsys):
    for run, rate in zip(pair, (0.3, 0.15)):
        (run / "recipe.yaml").write_text(RECIPE.format(title="Laptop", rate=rate))
    assert command(["compare", *map(str, pair), "--out", str(tmp_path / "c.html")]) == 0
    assert "b is ahead of a on any rows of this text" in capsys.readouterr().out
    page = Page(tmp_path / "c.html")
    nothing_acts(page)
    assert "objective.pretext.edits.0.selection.rate" in page.text
    assert "62.5% (+37.5, " in page.text
    assert len([found for tag, found in page.elements if tag == "path"]) >= 4


def test_runs_on_other_rows_are_not_said_to_be_ahead(pair):
    evaluated(pair[0], 0.25, [[2, 9]] * 40)
    for run in pair:
        (run / "recipe.yaml").write_text(RECIPE.format(title="Laptop", rate=0.3))
    assert "were not asked about the same rows" in comparison_of(pair).lead[0]


def test_runs_on_another_text_are_not_compared_row_by_row(pair):
    """As many rows of as many questions may be those of any text."""
    facts = {"tokenizer": {"vocab_size": 100}, "splits": {"held_out": {"pieces": 5}}}
    write(pair[1], "data.json", facts | {"sources": [{"name": "b.txt", "bytes": 7, "documents": 1}]})
    for run in pair:
        (run / "recipe.yaml").write_text(RECIPE.format(title="Laptop", rate=0.3))
    found = comparison_of(pair)
    assert "were not asked about the same rows" in found.lead[0]
    assert "not made on the same text" in found.notice


def test_one_run_is_no_comparison(pair):
    with pytest.raises(UserError, match="two runs or more"):
        comparison_of(pair[:1])


def width_and_height(path) -> tuple[int, int]:
    return struct.unpack(">II", path.read_bytes()[16:24])


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_draws_the_page_at_the_width_of_a_phone_and_of_a_desk(tmp_path, width):
    page_of(results(), tmp_path / "study")
    picture = tmp_path / "picture.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path / 'browser'}", f"--window-size={width},2000", f"--screenshot={picture}"]
    address = (tmp_path / "study" / "report.html").resolve().as_uri()
    found = subprocess.run(["chromium", *options, address], capture_output=True, text=True, timeout=100, check=True)
    assert "CONSOLE" not in found.stderr
    assert width_and_height(picture)[0] == width
    assert picture.stat().st_size > 20_000, "an empty page is smaller"
