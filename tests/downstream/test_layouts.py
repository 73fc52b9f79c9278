"""Labelled files as people have them: columns are looked at, names follow conventions, quotes are of either kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats.conll import Conll
from afterbert.downstream.formats.csv import CsvFormat
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.guess import guess
from afterbert.downstream.reading.source import split_files

GERMEVAL = "#\thttp://example.org [2011]\n1\tIn\tO\tO\n2\tNew\tB-LOC\tO\n3\tYork\tI-LOC\tB-PERpart\n\n"
UNIVERSAL = "# text\n1\tIn\tO\t-\tbo\n2\tNew\tB-LOC\t-\tbo\n3\tYork\tI-LOC\t-\tbo\n\n"
CONLL2003 = "-DOCSTART- -X- -X- O\n\nIn IN I-PP O\nNew NNP I-NP B-LOC\nYork NNP I-NP I-LOC\n. . O O\n\n"
MULTICONER = "# id 1da8 domain=en\nIn _ _ O\nNew _ _ B-LOC\nYork _ _ I-LOC\n# _ _ O\n\n"
SPEECH = "In\tAP\tin\nNew\tNP\tnew\nYork\tNP\tyork\n\nIs\tV\tbe\nit\tP\tit\n. \t.\t.\n\n".replace(". ", ".")
PLAIN = "In O\nNew B-LOC\nYork I-LOC\n\n"


@pytest.mark.parametrize(
    ("text", "words", "tags", "others"),
    [
        (GERMEVAL, "2", "3", ["4"]),
        (UNIVERSAL, "2", "3", []),
        (CONLL2003, "1", "4", []),
        (PLAIN, "1", "2", []),
        (MULTICONER, "1", "4", []),
        (SPEECH, "1", "2", ["3"]),
        ("In\tIN\tI-PP\nNew\tNNP\tI-NP\n\n", "1", "3", []),
    ],
    ids=["germeval", "universal", "conll2003", "plain", "multiconer", "speech", "chunks alone"],
)
def test_columns_are_looked_at_not_counted(tmp_path, text, words, tags, others):
    path = tmp_path / "train.tsv"
    path.write_text(text * 20)
    findings = Findings()
    table = Conll().read(path, findings)
    assert (table.columns[0], table.columns[-1]) == (words, tags)
    assert sorted(table.columns) == sorted(table.records[0])
    told = [line for line in findings.lines() if "may hold the tags" in line]
    assert [f"({', '.join(others)})" in line for line in told] == [True] * bool(others)


def test_germeval_is_read_as_words_and_outer_tags(tmp_path):
    (tmp_path / "NER-de-train.tsv").write_text(GERMEVAL * 30)
    (tmp_path / "NER-de-dev.tsv").write_text(GERMEVAL.replace("In", "An") * 5)
    data = read(guess(tmp_path))
    row = data.splits["train"][0]
    assert row.texts == ("In", "New", "York") and row.label == ("O", "B-LOC", "I-LOC")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (MULTICONER, {"O", "B-LOC", "I-LOC"}),
        (SPEECH, {"AP", "NP", "V", "P", "."}),
        (SPEECH.replace("\t", " "), {"AP", "NP", "V", "P", "."}),
    ],
)
def test_remarks_and_names_are_no_words_and_parts_of_speech_are_tags(tmp_path, text, tags):
    """A remark above a sentence may have as many columns as its words, and the first line may name the columns."""
    for number, head in enumerate(("", "word\tpos\tlemma\n" if text is SPEECH else "")):
        path = tmp_path / f"{number}.txt"
        path.write_text(head + text * 20)
        rows = read(guess(path)).splits["train"]
        assert {tag for row in rows for tag in row.label} == tags
        assert rows[0].texts == (("In", "New", "York", "#") if text is MULTICONER else ("In", "New", "York"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("eng.train", "eng.testa", "eng.testb"), ("train", "dev", "test")),
        (("trainset.tsv", "devset.tsv", "testset.tsv"), ("train", "dev", "test")),
        (("a.v2.csv",), ("a.v2",)),
    ],
)
def test_names_as_conventions_have_them(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).write_text("a b\tc\n")
    assert tuple(split_files(tmp_path)) == expected


@pytest.mark.parametrize(
    "names", [("train.csv", "train.tsv"), ("train-00000-of-00002.csv", "train-00001-of-00002.csv")]
)
def test_two_files_of_one_split_are_not_one(tmp_path, names):
    """One was left out, or became a test set, in silence."""
    for name in names:
        (tmp_path / name).write_text("text,label\na b,c\n")
    with pytest.raises(UserError, match="both hold train rows"):
        split_files(tmp_path)


def test_texts_and_labels_in_files_beside_each_other(tmp_path):
    """TweetEval's layout."""
    for split, count in (("train", 9), ("val", 2), ("test", 3)):
        (tmp_path / f"{split}_text.txt").write_text(f"good {split} film\nbad {split}\tfilm\n" * count)
        (tmp_path / f"{split}_labels.txt").write_text("1\n0\n" * count)
    (tmp_path / "mapping.txt").write_text("0 sad\n1\tglad to see\tit")
    data = read(guess(tmp_path))
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 18, "dev": 4, "test": 6}
    assert [(row.texts[0], row.label) for row in data.splits["dev"][:2]] == [
        ("good val film", "glad to see"),
        ("bad val\tfilm", "sad"),
    ]
    assert len(read(guess(tmp_path / "test_text.txt")).splits["train"]) == 6
    (tmp_path / "val_labels.txt").write_text("1\n0\n")
    with pytest.raises(UserError, match=r"val_text.txt has 4 lines, val_labels.txt 2; each text needs its label"):
        read(guess(tmp_path))


def test_texts_beside_labels_are_no_classes(tmp_path):
    (tmp_path / "text.txt").write_text("good film\nbad film\n" * 9)
    (tmp_path / "labels.txt").write_text("pos\nneg\n" * 9)
    assert [row.label for row in read(guess(tmp_path)).splits["train"][:2]] == ["pos", "neg"]


@pytest.mark.parametrize(
    ("head", "last", "told"),
    [
        ("text,label", "Summe,40", "1 labels that a single row has; sums, or slips? (first: rows.csv:42: '40')"),
        ("text,label", ",40", "1 rows with an empty text (first: rows.csv:42)"),
        ("text,score", "Total,20", "1 scores that are the sum of all above, as a last row of totals has it"),
    ],
)
def test_a_row_of_totals_is_told(tmp_path, head, last, told):
    (tmp_path / "rows.csv").write_text(head + "\n" + "good film,1\nbad film,0\n" * 20 + last)
    data = read(guess(tmp_path / "rows.csv"))
    assert [told in note for note in data.notes if "repeat" not in note] == [True]


@pytest.mark.parametrize("name", ["test.csv", "dev.csv", "all.csv", "train.csv", "rows.csv"])
def test_a_lone_file_is_what_there_is_to_learn_from(tmp_path, name):
    (tmp_path / name).write_text("text,label\n" + "good film,pos\nbad film,neg\n" * 20)
    for path in (tmp_path / name, tmp_path):
        data = read(guess(path))
        assert set(data.splits) == {"train"}
        told = f"{name} is the only file, so it is trained on, though its name says {name[:-4]}"
        assert (told in data.notes) == (name in ("test.csv", "dev.csv"))


def test_single_quotes_and_semicolons(tmp_path):
    """10kGNAD's layout: no header, the label first, semicolons inside the quotes."""
    path = tmp_path / "train.csv"
    path.write_text(
        "".join(
            f"Sport;'Das Spiel {n}; die Tore. Er sagte \"nein\".'\n"
            f"Kultur;'Die Oper {n}. Er sagte ''nein''; dann war Pause.'\n"
            for n in range(30)
        )
    )
    table = CsvFormat().read(path, Findings())
    assert len(table.records) == 60 and not table.has_header
    assert table.records[1]["2"] == "Die Oper 0. Er sagte 'nein'; dann war Pause."
    data = read(guess(path))
    assert data.splits["train"][0].label == "Sport"


def test_commas_in_texts_and_numbers_are_not_what_stands_between_columns(tmp_path):
    """Line ends in quoted cells were refused, cells without a header cut at the commas of their texts."""
    rows = ('"good, {n}\nso, so";{n},5', "good, {n}, so, so;{n},5", '{n},5;"good; {n}, so"', '"good, {n}, so"\t"{n}.5"')
    for row in rows:
        names = ("text", "score") if row[0] in '"g' else ("score", "text")
        for number, head in enumerate((("\t" if "\t" in row else ";").join(names) + "\n", "")):
            path = tmp_path / f"{number}.csv"
            path.write_text(head + "".join(row.format(n=n) + "\n" for n in range(30)))
            data = read(guess(path))
            assert [example.label for example in data.splits["train"]] == [n + 0.5 for n in range(30)]
            assert all(example.texts[0].startswith("good") for example in data.splits["train"])


def test_apostrophes_are_no_quotes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "'tis good,1\nit's bad,0\n\"one, two\",1\n" * 9)
    assert CsvFormat().read(path, Findings()).records[2]["text"] == "one, two"


def test_a_file_of_the_shared_tasks_names(tmp_path: Path):
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tmp_path / name).write_text(CONLL2003 * 12)
    data = read(guess(tmp_path))
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 12, "dev": 12, "test": 12}
    assert data.splits["train"][0].label == ("O", "B-LOC", "I-LOC", "O")


def test_chinese_texts_with_empty_lines_between_are_no_words(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("我在北京大学读书。\n\n他住在上海。\n", encoding="utf-8")
    assert not Conll().claim(path, path.read_text(encoding="utf-8"))


def test_files_with_the_same_name_but_for_their_ending_are_both_there(tmp_path):
    for name in ("en-train.csv", "en-dev.csv", "train.csv", "more.csv", "more.tsv"):
        (tmp_path / name).write_text("text,label\na b,x\nc d,y\n")
    files = split_files(tmp_path)
    assert {split: path.name for split, path in files.items()} == {
        "train": "en-train.csv",
        "dev": "en-dev.csv",
        "more": "more.csv",
        "more.tsv": "more.tsv",
        "train.csv": "train.csv",
    }


def test_a_blank_text_of_a_class_is_counted_not_refused(tmp_path):
    for name, text in (("bad/1", "so so"), ("bad/2", "\n"), ("good/1", "very fine"), ("good/2", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(text)
    data = read(guess(tmp_path))
    assert len(data.splits["train"]) == 4 and any("2 empty files" in note for note in data.notes)
