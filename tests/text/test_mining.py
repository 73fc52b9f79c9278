"""Mined phrases against counting by hand, and what is promised of them."""

import random
from collections import Counter
from math import log2

import pytest

from afterbert.base.errors import UserError
from afterbert.cli.main import run as afterbert
from afterbert.text.files.documents import Document
from afterbert.text.mining import Mining, as_table
from afterbert.text.mining import stream as stream_module
from afterbert.text.planes._listed import read_list
from afterbert.text.planes.phrase import Phrase

ALL = Mining(min_count=2, min_cohesion=-99.0, min_freedom=0.0)
BREAKS = "\n,"  # each a word of its own in these texts


def documents(texts):
    return [Document(f"d{n}", text) for n, text in enumerate(texts)]


def invented(count, *, seed=0):
    """Documents of words and marks between spaces."""
    draw = random.Random(seed)
    return [" ".join(draw.choices([*"aabbcdef", "-", ".", *BREAKS], k=draw.randint(3, 40))) for _ in range(count)]


def by_hand(texts, *, max_words):
    """text -> (count, cohesion, freedom), by the formulas, one run at a time."""
    counts, sides, total = Counter(), {}, 0
    for text in texts:
        words = text.split(" ")
        total += sum(word not in BREAKS for word in words)
        for size in range(1, max_words + 1):
            for i in range(len(words) - size + 1):
                run = tuple(words[i : i + size])
                if set(run) & set(BREAKS):
                    continue
                counts[run] += 1
                for side, at in (("left", i - 1), ("right", i + size)):
                    known = 0 <= at < len(words) and words[at] not in BREAKS
                    # What is not known is like no other.
                    neighbour = words[at] if known else object()
                    sides.setdefault((run, side), Counter())[neighbour] += 1
    found = {}
    for run, count in counts.items():
        if len(run) < 2 or count < 2 or {run[0], run[-1]} & {"-", "."}:
            continue
        cuts = [counts[run[:k]] * counts[run[k:]] for k in range(1, len(run))]
        cohesion = min(log2(count * total / parts) for parts in cuts)
        freedom = min(
            -sum(n / count * log2(n / count) for n in sides[run, side].values()) for side in ("left", "right")
        )
        found[" ".join(run)] = (count, cohesion, freedom)
    return found


@pytest.mark.parametrize("max_words", [2, 4])
@pytest.mark.parametrize("block", [50, 1_000_000])
def test_figures_are_those_of_the_formulas(max_words, block, monkeypatch):
    monkeypatch.setattr(stream_module, "_BLOCK_CHARACTERS", block)
    texts = invented(150)
    mining = Mining(max_words=max_words, min_count=2, min_cohesion=-99.0, min_freedom=0.0)
    found = {one.text: one for one in mining(documents(texts))}
    wanted = by_hand(texts, max_words=max_words)
    assert set(found) == set(wanted) and len(wanted) > 30
    for text, (count, cohesion, freedom) in wanted.items():
        one = found[text]
        assert one.count == count
        assert one.cohesion == pytest.approx(cohesion) and one.freedom == pytest.approx(freedom, abs=1e-9)
        assert one.score == pytest.approx(cohesion * freedom, abs=1e-9)


def test_thresholds_leave_out_just_what_falls_below():
    texts = documents(invented(150))
    everything = ALL(texts)
    some = Mining(min_count=4, min_cohesion=0.3, min_freedom=1.0)(texts)
    assert some == [one for one in everything if one.count >= 4 and one.cohesion >= 0.3 and one.freedom >= 1.0]
    assert 0 < len(some) < len(everything)
    assert Mining(min_count=2, min_cohesion=-99.0, min_freedom=0.0, most=5)(texts) == everything[:5]


def planted(seed=0):
    """Words by chance, and among them a phrase in all surroundings, and one that never goes without `the`."""
    draw = random.Random(seed)
    words = [f"w{n}" for n in range(60)]
    texts = []
    for _ in range(200):
        text = draw.choices(words, k=30)
        text[draw.randrange(30)] = draw.choice(["Sherlock Holmes", "SHERLOCK HOLMES", "Sherlock  Holmes"])
        text[draw.randrange(30)] = "the united kingdom"
        texts.append(" ".join(text))
    return texts


def test_what_was_planted_is_found_first_and_written_as_usual():
    found = Mining()(documents(planted()))
    assert found[0].text in ("Sherlock Holmes", "the united kingdom")
    names = [one.text for one in found]
    assert {"Sherlock Holmes", "the united kingdom"} <= set(names)
    assert not {"united kingdom", "the united"} & set(names), "their neighbour is always the same"
    assert "SHERLOCK HOLMES" in [one.text for one in Mining(case="kept")(documents(planted()))]


def test_the_order_of_the_documents_does_not_matter():
    texts = planted()
    assert Mining()(documents(texts[::-1])) == Mining()(documents(texts))
    assert Mining(sample_bytes=9_000)(documents(texts[::-1])) == Mining(sample_bytes=9_000)(documents(texts))


def test_a_sample_bounds_what_is_looked_at():
    whole = {one.text: one.count for one in Mining()(documents(planted()))}
    some = {one.text: one.count for one in Mining(sample_bytes=9_000)(documents(planted()))}
    assert 20 < some["the united kingdom"] < whole["the united kingdom"] / 2


def test_marks_tie_words_or_part_them():
    draw = random.Random(1)
    texts = [
        " ".join(draw.choices("abcdefgh", k=5))
        + draw.choice([" Mr. Darcy ", " mother-in-law ", " Q&Z ", " sly, fox ", " snow\nwhite "])
        + " ".join(draw.choices("abcdefgh", k=5))
        for _ in range(400)
    ]
    names = {one.text for one in Mining(max_words=5)(documents(texts))}
    assert {"Mr. Darcy", "mother-in-law", "Q&Z"} <= names
    assert not any(word in name for name in names for word in ("sly", "snow"))


def test_chinese_by_characters_and_thai():
    draw = random.Random(2)
    filler = "一二三四五六七八九十"
    texts = ["".join(draw.choices(filler, k=9)) + "北京大学" + "".join(draw.choices(filler, k=9)) for _ in range(60)]
    assert [one.text for one in Mining(chinese="characters", min_cohesion=4.0)(documents(texts))] == ["北京大学"]
    texts = ["".join(draw.choices("กขคงจ", k=9)) + "น้ำ" + "".join(draw.choices("กขคงจ", k=9)) for _ in range(60)]
    assert "น้ำ" in {one.text for one in Mining(min_cohesion=2.0)(documents(texts))}


def test_chinese_by_jieba():
    pytest.importorskip("rjieba")
    draw = random.Random(3)
    filler = ["今天", "天气", "学习", "我们", "电脑", "喜欢", "朋友", "城市"]
    texts = ["".join(draw.choices(filler, k=6)) + "人工智能" + "".join(draw.choices(filler, k=6)) for _ in range(90)]
    names = {one.text for one in Mining(chinese="characters", min_cohesion=2.0)(documents(texts))}
    assert "天气" in names
    # Jieba knows both as one word, and a phrase has at least two.
    found = Mining(chinese="jieba", min_cohesion=-99.0)(documents(texts))
    assert not {"天气", "智能"} & {one.text for one in found}


@pytest.mark.parametrize(
    ("texts", "said"),
    [([], "no words"), (["... !!"], "no words"), (["a b c d"], "no run of words reaches a count of 5")],
)
def test_too_little_text_is_said(texts, said):
    with pytest.raises(UserError, match=said):
        Mining()(documents(texts))


def test_the_table_is_a_list_for_the_planes(tmp_path):
    found = Mining()(documents(planted()))
    path = tmp_path / "phrases.tsv"
    path.write_text(as_table(found), encoding="utf-8")
    assert read_list(path).texts == tuple(one.text for one in found)
    assert Phrase(str(path)).settled().types == ("mined",)


def test_the_command(tmp_path, capsys):
    texts, out = tmp_path / "texts.txt", tmp_path / "phrases.tsv"
    texts.write_text("\n\n".join(planted()))
    assert afterbert(["mine-phrases", str(texts), "--out", str(out)]) == 0
    assert "Sherlock Holmes" in capsys.readouterr().out
    assert out.read_text().startswith("text\ttype\tscore\tcount\tcohesion\tfreedom\n")
    assert afterbert(["mine-phrases", str(texts), "--out", str(tmp_path / "absent" / "x.tsv")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert afterbert(["mine-phrases", str(texts), "--out", str(out), "--max-words", "1"]) == 2
    assert "--max-words is 1, must be" in capsys.readouterr().err
