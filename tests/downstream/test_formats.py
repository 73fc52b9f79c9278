"""Each format on good files, on the oddities of real ones, and on damage, which is one line with file and
line."""

import json

import pytest

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.example import Findings
from afterbert.downstream.formats.conll import Conll
from afterbert.downstream.formats.conllu import Conllu
from afterbert.downstream.formats.csv import CsvFormat
from afterbert.downstream.formats.jsonl import JsonlFormat
from afterbert.downstream.formats.squad import Squad
from afterbert.downstream.formats.trec import Trec
from afterbert.downstream.formats.tsv import TsvFormat
from afterbert.downstream.reading.data import read as read_task
from afterbert.downstream.reading.find_task import find_task
from afterbert.downstream.reading.guess import guess_format


def read(format, tmp_path, text, name="rows.txt"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    findings = Findings()
    return format.read(path, findings), findings


def refusal(format, tmp_path, text, name="rows.txt"):
    with pytest.raises(UserError) as caught:
        read(format, tmp_path, text, name)
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(str(tmp_path), "").lstrip("/\\")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("sentence\tlabel\ngood\t1\nbad\t0\n", ("sentence", "label")),
        ("a fine film\t1\na bad one\t0\nso so\t1\n", ("1", "2")),
        # No known name, but words over numbers.
        ("satz\tnote\nein Hund\t2.5\neine Katze\t3.5\n", ("satz", "note")),
        # No known name, but a unique word over few values.
        ("phrase\tkind\n" + "".join(f"text {i}\t{'xy'[i % 2]}\n" for i in range(40)), ("phrase", "kind")),
        # A parallel text: nothing speaks for a header.
        ("The dog.\tDer Hund.\nA cat.\tEine Katze.\nHouses.\tHäuser.\n", ("1", "2")),
        # CoLA: one column is mostly empty, another has few values from the first line on.
        ("gj04\t1\t\tWe sail.\ncj99\t0\t*\tSail we the.\ngj04\t1\t\tYou go.\n", ("1", "2", "3", "4")),
    ],
)
def test_headers_are_found(tmp_path, text, columns):
    table, _ = read(TsvFormat(), tmp_path, text)
    assert table.columns == columns
    assert table.has_header == (columns[0] != "1")
    assert len(table.records) == text.count("\n") - table.has_header


def test_a_header_can_be_denied_and_asked_for(tmp_path):
    text = "sentence\tlabel\ngood\t1\n"
    assert len(read(TsvFormat(header=False), tmp_path, text)[0].records) == 2
    table, _ = read(TsvFormat(header=True), tmp_path, "a b\t1\nc d\t0\n")
    assert table.columns == ("a b", "1")


def test_tsv_keeps_quotes_and_counts_them(tmp_path):
    table, findings = read(TsvFormat(), tmp_path, 'text\tlabel\n"No\t1\n"Yes" he said\t0\nfine\t1\n')
    assert table.column("text") == ['"No', '"Yes" he said', "fine"]
    assert findings["lines with quotes, read as plain characters"] == 2


def test_tsv_leaves_out_ragged_lines_and_names_the_first(tmp_path):
    table, findings = read(TsvFormat(), tmp_path, "text\tlabel\na b\t1\nbroken\nc d\t0\ne\tf\tg\n")
    assert table.column("text") == ["a b", "c d"]
    assert table.keys == ("rows.txt:2", "rows.txt:4")
    assert findings.lines() == ["2 lines with another number of columns left out (first: rows.txt:3)"]


def test_line_ends_byte_order_marks_and_odd_separators(tmp_path):
    data = "\ufefftext\tlabel\r\none\u2028line\t1\r\n\r\ntwo\t0\r\n".encode()
    table, _ = read(TsvFormat(), tmp_path, data)
    assert table.columns == ("text", "label")
    assert table.column("text") == ["one\u2028line", "two"]


def test_csv_reads_quoting_line_breaks_and_semicolons(tmp_path):
    table, _ = read(CsvFormat(), tmp_path, 'text,label\n"a, ""b""\nc",x\nd,y\n')
    assert table.column("text") == ['a, "b"\nc', "d"]
    assert table.keys == ("rows.txt:2", "rows.txt:4")
    table, _ = read(CsvFormat(), tmp_path, "text;label\na, b;x\nc, d;y\n")
    assert table.columns == ("text", "label")


def test_csv_with_a_spreadsheets_own_line_and_headers_of_files_that_were_joined(tmp_path):
    file = tmp_path / "a.csv"
    rows = "".join(f"góð mynd, {i};já\nvond mynd {i};nei\n" for i in range(5))
    file.write_text(f"sep=;\ntext;label\n{rows}text;label\n{rows}")
    table = CsvFormat().read(file, findings := Findings())
    assert table.columns == ("text", "label") and set(table.column("label")) == {"já", "nei"}
    assert len(table.records) == 20 and "a.csv:13" in str(findings.lines())


def test_tsv_with_tabs_and_line_ends_in_cells_and_empty_columns_at_the_end(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text("setning\tmerki\t\t\n" + '"góð\tmynd,\nekki ""vond"" þó"\tjá\t\t\nvond mynd\tnei\t\t\n' * 6)
    table = TsvFormat().read(file, Findings())
    assert table.columns == ("setning", "merki") and len(table.records) == 12
    assert table.records[0] == {"setning": 'góð\tmynd,\nekki "vond" þó', "merki": "já"}


def test_csv_with_quotes_that_are_plain_characters(tmp_path):
    table, findings = read(CsvFormat(), tmp_path, 'text,label\n"No he said,x\n5" disk,y\nplain,x\n')
    assert table.column("text") == ['"No he said', '5" disk', "plain"]
    assert findings["lines with quotes, read as plain characters"] == 2


def test_csv_with_an_unclosed_quote_is_refused_with_its_line(tmp_path):
    line = refusal(CsvFormat(), tmp_path, 'text,label\na,x\n"b, c,y\nd,x\n')
    assert line.startswith("rows.txt:3: a quote is not closed")


def test_jsonl_names_the_broken_line(tmp_path):
    assert refusal(JsonlFormat(), tmp_path, '{"a": 1}\n{"a": \n').startswith("rows.txt:2: is not JSON (")
    assert refusal(JsonlFormat(), tmp_path, '{"a": 1}\n[1]\n') == "rows.txt:2: is list, must be an object {...}"
    assert refusal(JsonlFormat(), tmp_path, '{"a": 1, "a": 2}\n') == "rows.txt:1: a key is written twice; keep one"
    assert "nested too deeply" in refusal(JsonlFormat(), tmp_path, '{"a": ' + "[" * 100_000 + "\n")
    assert "thousands of digits" in refusal(JsonlFormat(), tmp_path, '{"a": ' + "9" * 5000 + "}\n")
    for odd, said in (("[" * 100_000, "nested too deeply"), ("9" * 5000 + "}", "thousands of digits")):
        assert said in refusal(Squad(), tmp_path, '{"data": ' + odd)


def test_jsonl_may_be_a_list_and_rows_may_lack_columns(tmp_path):
    table, _ = read(JsonlFormat(), tmp_path, '[{"a": 1}, {"b": [2]}]', "rows.json")
    assert table.columns == ("a", "b")
    assert table.column("b") == [None, [2]]
    table, _ = read(JsonlFormat(id="pairID"), tmp_path, '{"pairID": "x7", "a": 1}\n')
    assert table.keys == ("x7",)


def test_conll_with_its_usual_oddities(tmp_path):
    text = "-DOCSTART-\tO\n\nIn\tO\nOslo\tB-LOC\n\t\n# a remark\n#\tO\n \tO\n\n\nOk\tO"
    table, findings = read(Conll(), tmp_path, text)
    assert table.column("1") == [("In", "Oslo"), ("#", " "), ("Ok",)]
    assert table.column("2") == [("O", "B-LOC"), ("O", "O"), ("O",)]
    assert table.keys == ("rows.txt:3", "rows.txt:7", "rows.txt:11")
    assert findings["empty lines that hold spaces or tabs"] == 1


def test_conll_with_spaces_and_four_columns(tmp_path):
    text = "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\nbroken\n"
    table, findings = read(Conll(), tmp_path, text)
    assert table.column("4") == [("B-ORG", "O"), ("B-PER",)]
    assert findings["lines with another number of columns left out"] == 1


def test_conllu_takes_words_not_ranges_or_empty_nodes(tmp_path):
    def word(number, form, upos):
        return "\t".join([number, form, "_", upos, *"______"])

    lines = ["# sent_id = s1", word("1-2", "du", "_"), word("1", "de", "ADP"), word("2", "le", "DET")]
    lines += [word("2.1", "x", "X"), "", word("1", "fin", "NOUN")]
    table, _ = read(Conllu(), tmp_path, "\n".join(lines))
    assert table.columns == ("form", "upos")
    assert table.column("form") == [("de", "le"), ("fin",)]
    assert table.column("upos") == [("ADP", "DET"), ("NOUN",)]
    assert table.keys == ("s1", "rows.txt:7")
    assert refusal(Conllu(), tmp_path, "1\tonly\tthree\n").startswith("rows.txt:1: has 3 columns, CoNLL-U has 10")


SQUAD = {
    "data": [
        {
            "title": "T",
            "paragraphs": [
                {
                    "context": "Ann met Bo.",
                    "qas": [
                        {"id": "1", "question": "Who?", "answers": [{"text": "Bo", "answer_start": 8}]},
                        {"id": "2", "question": "When?", "answers": [], "is_impossible": True},
                        {"id": "2", "question": "Where?"},
                    ],
                }
            ],
        }
    ]
}


def test_squad_tells_no_answer_from_unknown_answer(tmp_path):
    table, findings = read(Squad(), tmp_path, json.dumps(SQUAD))
    assert table.column("answers") == [[{"text": "Bo", "answer_start": 8}], [], None]
    assert findings["question ids that occur twice"] == 1
    assert refusal(Squad(), tmp_path, '{"data": [{"title": 1}]}').startswith("rows.txt: is not SQuAD's JSON")
    assert refusal(Squad(), tmp_path, '{\n"data": [').startswith("rows.txt:2: is not JSON")
    assert refusal(Squad(), tmp_path, '{"data": []}') == "rows.txt: holds no question; name a file with rows"


def test_trec(tmp_path):
    table, _ = read(Trec(), tmp_path, "NUM:dist How far ?\nLOC:city Where ?\n")
    assert table.records[0] == {"text": "How far ?", "coarse": "NUM", "fine": "NUM:dist"}
    assert refusal(Trec(), tmp_path, "NUM:dist How far ?\nWhere ?\n").startswith("rows.txt:2: does not begin")


@pytest.mark.parametrize(
    "format", [TsvFormat(), CsvFormat(), JsonlFormat(), Conll(), Conllu(), Squad(), Trec()], ids=name_of
)
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"ok\t1\ncaf\xe9\t0\n", "rows.txt:2: is not UTF-8 at byte 8; save it as UTF-8"),
        (b"abcd\0\0ef\n", "rows.txt: holds zero bytes, so it is no text; save it as UTF-8 text"),
        (b" \n\n", "rows.txt: is empty; name a file with rows"),
    ],
)
def test_files_that_are_no_text(tmp_path, format, data, said):
    assert refusal(format, tmp_path, data) == said


RANGE = "".join(cells + "\t_" * 6 + "\n" for cells in ("1-2\tdu\t_\t_", "1\tde\t_\tADP", "2\tle\t_\tDET"))


@pytest.mark.parametrize(
    ("name", "text", "format"),
    [
        ("a.tsv", "x y\t1\nz\t0\n", "tsv"),
        ("a.txt", "x y\t1\nz\t0\n", "tsv"),
        ("a.csv", "x y,1\nz,0\n", "csv"),
        ("a.jsonl", '{"a": 1}\n', "jsonl"),
        ("a.json", '[{"a": 1}]', "jsonl"),
        ("a.json", json.dumps(SQUAD), "squad"),
        ("a.json", json.dumps(SQUAD, indent=2), "squad"),
        ("a.txt", "In\tO\nOslo\tB-LOC\n\nOk\tO\n", "conll"),
        ("a.txt", "In O\nOslo B-LOC\n\nOk O\n", "conll"),
        ("a.txt", "NUM:dist How far ?\nLOC:city Where ?\n", "trec"),
        ("a.txt", "1\tIn\t_\tADP" + "\t_" * 6 + "\n\n", "conllu"),
        # Read as CoNLL, a range like 1-2 would be a word.
        ("a.conllu", f"{RANGE}\n{RANGE}\n", "conllu"),
        ("a.txt", f"# text = du\n{RANGE}\n# text = du\n{RANGE}\n", "conllu"),
    ],
)
def test_formats_are_told_apart(tmp_path, name, text, format):
    path = tmp_path / name
    path.write_text(text)
    assert name_of(guess_format(path)) == format


def test_running_text_is_no_format(tmp_path):
    path = tmp_path / "book"
    path.write_text("Call me Ishmael. Some years ago,\nnever mind how long precisely,\n")
    with pytest.raises(UserError, match=r"reads like none of the known formats; name one with --format"):
        guess_format(path)
    path.write_text("\n")
    with pytest.raises(UserError, match=r"book: is empty; name a file with rows"):
        guess_format(path)


def test_a_cell_of_csv_may_be_a_whole_book(tmp_path):
    table, _ = read(CsvFormat(), tmp_path, 'source,target\n"' + "word, " * 40_000 + '",short\nlong,longer\n')
    assert len(table.records[0]["source"]) == 240_000


def test_squad_json_of_another_shape_is_one_line(tmp_path):
    tree = {"data": [{"paragraphs": [{"context": "x", "qas": ["no question"]}]}]}
    assert "is not SQuAD's JSON" in refusal(Squad(), tmp_path, json.dumps(tree))


@pytest.mark.parametrize("text", ["\n", "\r\n\r\n", '""\n\n'])
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_file_without_a_row_is_one_line(tmp_path, kind, text):
    (tmp_path / f"a.{kind}").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(UserError) as refused:
        read_task(find_task(f"x:{tmp_path / f'a.{kind}'}"))
    assert len(refused.value.lines) == 1


def test_words_without_a_word_and_marks_without_a_text_are_one_line(tmp_path):
    (tmp_path / "a.conll").write_text("# a remark\n\n")
    with pytest.raises(UserError, match="holds no row"):
        find_task(str(tmp_path / "a.conll"), usual={"words": "1"})
    marked = {"from_name": "l", "value": {"start": 0, "end": 1, "labels": ["A"]}}
    row = {"id": 1, "annotations": [{"result": [marked]}], "data": {"dialog": ["a", "b"]}}
    (tmp_path / "a.json").write_text(json.dumps([row]))
    with pytest.raises(UserError, match="its data holds no text"):
        find_task(str(tmp_path / "a.json"))
