"""The report of a run: complete, on broken and unfinished folders too, and nothing in it acts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fabricated import fabricate, filled, write

from afterbert.base.errors import UserError
from afterbert.report import write_report

HOSTILE = "</script><script>alert(1)</script>\"><img src=x onerror='alert(2)'> `a` | b\u202e\x1b[31m{{ 7*7 }} &lt;"
SECTIONS = {"filled", "corrupted", "statistics", "curves", "figures", "data", "recipe", "use"}
PARTS = """html head meta title style body main footer header section nav a h1 h2 h3 p ul li b i small strong span
div figure figcaption svg rect line path circle text details summary table tr th td pre code"""


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text."""

    def __init__(self, path: Path):
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [value or "" for _, found in self.elements for key, value in found.items() if key == name]


@pytest.fixture
def run(tmp_path) -> Path:
    return fabricate(tmp_path / "laptop-tiny")


def page_of(run: Path) -> Page:
    return Page(write_report(run))


def nothing_acts(page: Page) -> None:
    """No element, attribute or address that could do anything."""
    assert {tag for tag, _ in page.elements} <= set(PARTS.split())
    assert page.open == []
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("src", "srcset", "data", "action", "xlink:href", "target")
            assert name != "href" or re.fullmatch("#[a-z]+", value or ""), (tag, value)
            if name == "style":
                assert re.fullmatch(r"(width:[0-9.]+%|flex:[0-9]+ 0 0)", value or "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page.source)


def test_has_every_section_and_the_headline(run):
    page = page_of(run)
    assert set(page.attributes("id")) == SECTIONS
    for figure in ("32.8%", "16.8%", "5.1%", "15.9 points above counting neighbours", "10 min 14 s", "4,186"):
        assert figure in page.text
    assert "AutoModelForMaskedLM.from_pretrained('laptop-tiny/model')" in page.text
    assert "--model.hidden_size" in page.text
    assert "Not finished" not in page.text
    nothing_acts(page)


def test_the_links_at_the_top_name_the_sections_in_their_order(run):
    page = page_of(run)
    links = [href.removeprefix("#") for href in page.attributes("href") if href]
    assert links == [name for name in page.attributes("id") if name in links] and set(links) == SECTIONS


def test_policy_forbids_everything_but_inline_styles(run):
    page = page_of(run)
    metas = [found for tag, found in page.elements if tag == "meta"]
    policies = [m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0] is not None
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert page.source.index("Content-Security-Policy") < page.source.index("<title>")


def test_the_waffle_is_filled_as_far_as_the_share_goes(run):
    page = page_of(run)
    widths = [float(found["width"] or 0) for tag, found in page.elements if found.get("class") in ("learned", "shared")]
    assert sum(widths) / 10 == pytest.approx(32.8, abs=0.05)
    assert sum(found.get("class") == "shared" for _, found in page.elements) == 16


def test_guesses_are_graded(run):
    words = [
        (found["class"] or "").removeprefix("mark ")
        for tag, found in page_of(run).elements
        if (found.get("class") or "").startswith("mark ")
    ]
    after_legend = words[3 : 3 + 9]
    assert after_legend == ["right", "near", "wrong", "right", "right", "right", "near", "wrong", "right"]


def test_same_folder_same_bytes(run):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def hostile(run: Path) -> None:
    """HOSTILE in every place of every file that can hold text."""
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("title: Laptop ", f"title: {json.dumps(HOSTILE)} ", 1))
    write(run, "status.json", {"state": HOSTILE, "step": 3, "message": HOSTILE})
    data = json.loads((run / "data.json").read_text())
    data["sources"][0]["name"] = data["tokenizer"]["kind"] = HOSTILE
    data["tally"]["dropped"][HOSTILE] = data["tally"]["repaired"][HOSTILE] = 3
    data["splits"][HOSTILE] = {HOSTILE: 4}
    write(run, "data.json", data)
    evaluation = json.loads((run / "evaluation.json").read_text())
    for part in evaluation.values():
        part[f"accuracy_{HOSTILE}"] = 0.1
    write(run, "evaluation.json", evaluation)
    write(run, "statistics.json", {HOSTILE: HOSTILE, "spans": {HOSTILE: 3}, f"deep {HOSTILE}": {"a": {HOSTILE: 1}}})
    cell = {"text": HOSTILE, "action": HOSTILE, "asked": HOSTILE, "places": [-1, 0, 10**9]}
    sample = {"before": [cell] * 2, "shown": [cell, cell | {"action": "mask"}], "labels": [HOSTILE]}
    gap = {"text": HOSTILE, "masked": True, "truth": HOSTILE, "guesses": [[HOSTILE, 0.5], ["x", 0.1]]}
    shown = {"pieces": [gap, {"text": HOSTILE}]}
    write(run, "samples.json", {"corrupted": [sample], "filled": [shown]})
    lines = [
        {"kind": "step", "step": 5, "loss": 2.0, "parts": {HOSTILE: 1.0, "b": 1.0}},
        {"kind": "note", "step": 6, "text": HOSTILE},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write(run / "model", "config.json", {"architectures": [HOSTILE]})
    (run / "<img src=x onerror=alert(3)> `|`.txt").write_text("")


def test_hostile_text_is_shown_as_text(tmp_path):
    run = fabricate(tmp_path / "<b>run & co")
    hostile(run)
    page = page_of(run)
    nothing_acts(page)
    seen = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\x1b", "␛")
    assert page.text.count(seen) >= 20
    assert "<b>run & co" in page.text
    assert "<img src=x onerror=alert(3)> `|`.txt" in page.text


def test_hostile_text_stays_in_its_cell_of_the_markdown(run):
    hostile(run)
    text = write_report(run).with_suffix(".md").read_text(encoding="utf-8")
    assert "<" not in text
    assert not re.search(r"(?<!\\)`", text)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_no_hidden_character_in_either_file(run):
    hostile(run)
    page = write_report(run)
    for path in (page, page.with_suffix(".md")):
        hidden = {c for c in path.read_text(encoding="utf-8") if unicodedata.category(c) in ("Cc", "Cf", "Cs")}
        assert hidden <= {"\n", "\t"}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_finds_nothing_to_run_or_refuse(run, tmp_path):
    hostile(run)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update"]
    options += ["--disable-background-networking", "--disable-sync", f"--user-data-dir={tmp_path / 'browser'}"]
    options += ["--enable-logging=stderr", "--dump-dom", write_report(run).resolve().as_uri()]
    found = subprocess.run(["chromium", *options], capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in found.stderr
    assert "<img" not in found.stdout
    assert 'id="use"' in found.stdout


def test_unfinished_run_says_so(run):
    write(run, "status.json", {"state": "training", "step": 1200, "total_steps": 3900})
    for name in ("evaluation.json", "statistics.json", "samples.json"):
        (run / name).unlink()
    shutil.rmtree(run / "model")
    page = page_of(run)
    assert "Not finished: training, step 1,200 of 3,900." in page.text
    assert "There is no model/ folder yet" in page.text
    assert "Measured during training, at step 3,900" in page.text
    assert set(page.attributes("id")) == SECTIONS - {"filled", "corrupted", "statistics", "figures"}


@pytest.mark.parametrize(
    ("accuracy", "said"), [(0.1, "7.0 points below counting neighbours"), (0.174, "Level with counting neighbours")]
)
def test_a_model_that_is_not_worth_it_is_told(run, accuracy, said):
    measures, baselines = {"masked_accuracy": accuracy}, {"left_and_right_neighbour": 0.17}
    write(run, "evaluation.json", {"measures": measures, "baselines": baselines})
    assert said in page_of(run).text


def test_each_part_of_a_loss_has_its_curve(run):
    before = page_of(run).attributes("class").count("chart")
    lines = [{"kind": "step", "step": i, "loss": 3.0, "parts": {"masked": 2.0, "order": 1.0}} for i in (1, 2)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = page_of(run)
    titles = [found for found in page.attributes("aria-label") if "part" in found]
    assert len(titles) == 2
    assert before == 5


@pytest.mark.parametrize("name", ["recipe.yaml", "status.json", "metrics.jsonl", "data.json", "evaluation.json"])
def test_any_single_file_is_enough(tmp_path, run, name):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(run / name, alone)
    nothing_acts(page_of(alone))


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "\n\n",
        '{"kind": "st',
        '{"kind": "step", "step": 1, "loss": 3.5}\n',
        '{"kind": "step", "step": 0, "loss": 3.5, "learning_rate": 0}\n',
        '{"kind": "step", "step": 1, "loss": NaN, "grad_norm": Infinity, "learning_rate": null}\n',
        '{"kind": "step", "step": 1, "loss": "nan", "parts": {"a": "inf", "b": "-inf"}}\n',
        '{"kind": "step", "step": 2, "loss": 1e308}\n{"kind": "step", "step": 3, "loss": -1e308}\n',
        '{"kind": "evaluation", "step": 1, "figures": {"masked_accuracy": NaN, "loss": NaN}}\n',
        '{"kind": "step", "step": 1, "loss": ' + "9" * 400 + "}\n",
        '[1]\n"x"\n{"step": "one"}\n{"kind": "step", "step": 1, "loss": "high", "parts": [1], "tokens": {}}\n',
        '{"kind": "step", "step": 3, "parts": ' + "[" * 5000 + "]" * 5000 + "}\n",
    ],
)
def test_any_metrics_file_gives_a_report(run, lines):
    (run / "metrics.jsonl").write_text(lines)
    nothing_acts(page_of(run))


def test_no_step_yet_is_said(tmp_path):
    write(tmp_path, "status.json", {"state": "starting"})
    text = page_of(tmp_path).text
    assert "No step has been written yet" in text
    assert "Not finished: starting, no step yet." in text


def test_nan_is_shown_not_hidden(run):
    measures = {"loss": float("nan"), "masked_accuracy": None}
    write(run, "evaluation.json", {"measures": measures})
    steps = [{"kind": "step", "step": i, "loss": "nan" if i == 7 else 3.0} for i in range(1, 10)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    page = page_of(run)
    assert "no finite number at 1 of the steps read, first at step 7" in page.text
    assert page.attributes("class").count("alarm") == 1
    assert "NaN" in page.text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("data.json", "{", "data.json:1 is not JSON"),
        ("data.json", "[]", "data.json: the whole must be"),
        ("data.json", '{"splits": {"train": 3}}', "data.json: splits.train must be"),
        ("status.json", '{"step": "many"}', "status.json: step must be"),
        ("evaluation.json", '{"measures": {"loss": "low"}}', "evaluation.json: measures.loss must be"),
        ("statistics.json", "[" * 100_000, "statistics.json is nested too deep"),
        ("samples.json", '{"filled": [{"pieces": [{}]}]}', "samples.json: filled.0.pieces.0.text must be"),
        (
            "samples.json",
            '{"corrupted": [{"shown": [{"text": "a", "places": ["b"]}]}]}',
            "corrupted.0.shown.0.places.0 must be",
        ),
        ("recipe.yaml", "a: [", "recipe.yaml:1"),
        ("recipe.yaml", "- a", "is no mapping of settings"),
    ],
)
def test_a_broken_file_is_one_line(run, name, content, expected):
    (run / name).write_text(content)
    with pytest.raises(UserError) as found:
        write_report(run)
    assert len(found.value.lines) == 1
    assert "\n" not in found.value.lines[0]
    assert expected in found.value.lines[0]
    assert not (run / "report.html").exists()


def test_no_run_folder_is_a_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    for folder, expected in [("absent", "there is no folder"), ("file", "is a file"), (".", "is no run folder")]:
        with pytest.raises(UserError, match=expected):
            write_report(tmp_path / folder)


def test_out_is_respected(run, tmp_path):
    assert write_report(run, tmp_path / "look.html") == tmp_path / "look.html"
    assert (tmp_path / "look.md").exists()
    assert not (run / "report.html").exists()
    assert write_report(run, tmp_path / "absent" / "look.html").exists()
    with pytest.raises(UserError):
        write_report(run, tmp_path / "look.md")


def test_a_link_in_the_folder_is_not_followed(run, tmp_path):
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    (run / "link").symlink_to(secret)
    assert "link" not in [line.strip() for line in page_of(run).text.splitlines()]


def test_few_samples_of_many_are_shown(run):
    write(run, "samples.json", {"filled": [filled("The house")] * 500})
    assert page_of(run).attributes("class").count("sample") <= 20


def test_a_sum_of_several_losses_is_called_one_and_has_its_own_uniform_guess(run):
    write(
        run,
        "figures.json",
        {
            "loss": {"title": "weighted sum: generator + 50 replaced", "unit": "nats, weighted", "uniform": 43.6},
            "others": {"replaced": {"title": "replaced or original, loss", "unit": "nats per piece"}},
        },
    )
    page = page_of(run).text
    assert "weighted sum: generator + 50 replaced (nats, weighted)" in page
    assert "uniform guess 43.60" in page and "per hidden piece" not in page


def test_a_run_without_masked_pieces_shows_the_question_that_all_share(run):
    shared = {
        "name": "which frequent word",
        "value": 0.455,
        "beside": {"random weights": 0.417, "counting neighbours": 0.57},
        "count": 561,
        "interval": [0.415, 0.494],
    }
    write(run, "evaluation.json", {"objective": {"loss": 6.4, "next_accuracy": 0.183}, "shared": shared})
    write(
        run,
        "figures.json",
        {
            "loss": {"title": "next pieces, loss", "unit": "nats per piece", "uniform": 8.99},
            "others": {"next_accuracy": {"title": "next pieces, share right", "unit": "share"}},
        },
    )
    # a question and its answer are sentences: in a cell of figures, which never break, they ran out of the page
    assert not re.search(r'class="figure">[^<]{60}', page_of(run).source)
    page = page_of(run).text
    assert "Of 100 frequent words taken out" in page and "45.5%" in page
    assert "561 words (41.5% to 49.4% in 95 of 100 draws of rows)" in page
    assert "below counting neighbours" in page and "next pieces, share right" in page
    told = (run / "report.md").read_text()
    assert "frequent words named by a linear probe" in told and "next pieces, share right" in told
