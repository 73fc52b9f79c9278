"""Files of rows as spreadsheets, editors and scripts leave them: read row by row, and written as they were."""

import io
import json

import pytest

from afterbert.base.errors import UserError
from afterbert.downstream.row_files.row_file import RowFile
from afterbert.downstream.row_files.row_writer import RowWriter
from afterbert.downstream.row_files.text_file import TextFile

KNOWN = ("text", "review", "id")


def opened(tmp_path, content, name="rows.csv", **how):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = {"kind": None, "known": KNOWN, "reads_words": False} | how
    return RowFile.of(TextFile.of(path), **settings)


def with_answer(rows):
    """Each row written again with one new column."""
    out = io.StringIO()
    writer = RowWriter(rows, out)
    for row in rows.rows():
        assert not row.problem
        writer.write(row, {"prediction": "A"}, {"prediction": "A"})
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,text\n7,good\n", "id,text,prediction\n7,good,A\n"),
        ('text\n"a, b"\nc\n', 'text,prediction\n"a, b",A\nc,A\n'),
        ("id;text\r\n1;a, b\r\n", "id;text;prediction\r\n1;a, b;A\r\n"),
        ('\ufeffid;text\r\n1;"a\r\nb"\r\n', 'id;text;prediction\r\n1;"a\r\nb";A\r\n'),
        ("id,text,,\n1,x,,\n", "id,text,,,prediction\n1,x,,,A\n"),
        ("id,text\r1,good\r", "id,text,prediction\r1,good,A\r"),
        ("text,prediction\nx,old\n", "text,prediction,prediction_2\nx,old,A\n"),
        ("Opinion\nthis is fine\nthat is not\n", "Opinion,prediction\nthis is fine,A\nthat is not,A\n"),
        ("this is fine\nthat is not\nthat neither\n", "this is fine,A\nthat is not,A\nthat neither,A\n"),
        ('text\n"she said ""no"""\n', 'text,prediction\n"she said ""no""",A\n'),
    ],
)
def test_a_table_comes_out_as_it_came_in_with_a_column_more(tmp_path, content, expected):
    rows = opened(tmp_path, content)
    assert with_answer(rows) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_text_of_a_spreadsheet_is_a_table_with_tabs_and_quotes(tmp_path, encoding):
    content = 'id\ttext\r\n1\t"þú ert\tgóð"\r\n2\tनमस्ते\r\n'
    rows = opened(tmp_path, content.encode(encoding), "export.txt")
    assert [row.record["text"] for row in rows.rows()] == ["þú ert\tgóð", "नमस्ते"]
    assert rows.file.newline == "\r\n"


def test_tsv_has_no_quotes_and_its_cells_stay(tmp_path):
    rows = opened(tmp_path, 'text\tn\n"x\t1\n5" pipe\t2\n', "rows.tsv")
    assert with_answer(rows) == 'text\tn\tprediction\n"x\t1\tA\n5" pipe\t2\tA\n'


def test_json_lines_keep_keys_and_order(tmp_path):
    rows = opened(tmp_path, '{"id": 1, "text": "é"}\n\n{"text": "b", "prediction": 3}\n', "rows.jsonl")
    assert rows.columns == ("id", "text", "prediction")
    first, second = map(json.loads, with_answer(rows).splitlines())
    assert first == {"id": 1, "text": "é", "prediction": "A"}
    assert second == {"text": "b", "prediction": 3, "prediction_2": "A"}


def test_a_text_a_line_becomes_a_table_and_empty_lines_keep_their_place(tmp_path):
    rows = opened(tmp_path, "one, two\n\nthree\u2028four\n", "rows.txt")
    assert with_answer(rows) == 'text,prediction\n"one, two",A\n,A\nthree\u2028four,A\n'


def test_what_is_piped_in_is_told_by_its_content(tmp_path):
    kinds = {
        '{"text": "a"}\n{"text": "b"}\n': "jsonl",
        "id,text\n1,a\n": "csv",
        "text\tid\na\t1\n": "tsv",
        "a b\nc, d\n": "txt",
    }
    assert {content: opened(tmp_path, content, "x").kind for content in kinds} == kinds
    assert opened(tmp_path, '[{"text": "a"}]', "x.json").kind == "json"
    assert opened(tmp_path, "Ada\nsings\n\nTom\n", "x", reads_words=True).kind == "conll"


def test_words_a_line_get_a_tag_each_and_all_else_stays(tmp_path):
    content = "-DOCSTART-\n\n# a remark\nAda\nsings\n\nTom\n"
    rows = opened(tmp_path, content, "words.txt", reads_words=True)
    found, out = list(rows.rows()), io.StringIO()
    assert [row.record for row in found] == [{"1": ("Ada", "sings")}, {"1": ("Tom",)}]
    writer = RowWriter(rows, out)
    for row in found:
        writer.write(row, {"prediction": ["B"] * len(row.record["1"])}, {})
    assert out.getvalue() == "-DOCSTART-\n\n# a remark\nAda B\nsings B\n\nTom B\n"


def test_words_between_tabs_with_a_word_of_space_and_universal_dependencies(tmp_path):
    rows = opened(tmp_path, "Ada\tX\n \tX\n\nTom\tX\n", "a.conll", reads_words=True)
    assert [row.record["1"] for row in rows.rows()] == [("Ada", " "), ("Tom",)]
    lines = [line + "\t_" * 8 for line in ("1-2\tdu", "1\tde", "2\tle", "3\tPont")]
    lines = ["# text = du Pont", *lines, ""]
    rows = opened(tmp_path, "\n".join(lines) + "\n", "a.conllu", reads_words=True)
    (row,) = rows.rows()
    assert row.record["form"] == ("de", "le", "Pont")
    out = io.StringIO()
    RowWriter(rows, out).write(row, {"prediction": ["X", "Y", "Z"]}, {})
    assert [line.split("\t")[10:] for line in out.getvalue().splitlines()] == [[], [], ["X"], ["Y"], ["Z"], []]


@pytest.mark.parametrize(
    ("name", "content", "line", "said"),
    [
        ("a.csv", "id,text\n1,a\n2,b,c\n", 3, "has 3 columns, the header has 2"),
        ("a.csv", "sep=;\nid;text\n1;a\nid;text\n", 4, "is the header again"),
        ("a.tsv", "id\ttext\n\n1\ta\n2\n", 4, "has 1 column, the header has 2"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', 2, "is not JSON"),
        ("a.jsonl", '{"text": "a"}\n["b"]\n', 2, "is no JSON object"),
        ("a.conll", "a b\nc d\ne\n", 1, "has 1 column at line 3, the lines before have 2 columns"),
    ],
)
def test_a_broken_row_says_its_line(tmp_path, name, content, line, said):
    rows = opened(tmp_path, content, name, reads_words=name.endswith("conll"))
    (broken,) = (row for row in rows.rows() if row.problem)
    assert broken.line == line and said in broken.problem


def test_what_cannot_be_read_on_from_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"a.csv:3: the row that begins here cannot be read .* quote is not closed"):
        list(opened(tmp_path, 'id,text\n1,a\n2,"b\n3,c\n', "a.csv", known=("id",)).rows())
    with pytest.raises(UserError, match=r"a.txt:2: is not UTF-8"):
        list(opened(tmp_path, b"fine\n\xff\n", "a.txt").rows())
    with pytest.raises(UserError, match=r"is empty; name a file with rows"):
        opened(tmp_path, "\n \n", "a.txt")
    with pytest.raises(UserError, match=r"holds zero bytes, so it is no text"):
        opened(tmp_path, b"\x89PNG\0\0\0\x01\x02\0\0", "a.txt")


def test_a_header_and_the_place_of_rows_can_be_said(tmp_path):
    content = "first,second\nred,blue\n"
    named = opened(tmp_path, content, "a.csv", header=True)
    assert named.columns == ("first", "second") and len(list(named.rows())) == 1
    unnamed = opened(tmp_path, "text,label\na b,c\n", "b.csv", header=False)
    assert unnamed.columns == ("1", "2") and len(list(unnamed.rows())) == 2
    nested = opened(
        tmp_path,
        json.dumps({"data": {"items": [{"text": "a"}, {"text": "b"}]}}),
        "c.json",
        kind="json",
        records="data.items",
    )
    assert [row.record["text"] for row in nested.rows()] == ["a", "b"]
    with pytest.raises(UserError, match="--header has no effect on jsonl"):
        opened(tmp_path, '{"text": "a"}\n', "d.jsonl", header=True)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("我在北京大学读书。\n他住在上海。\n她去过巴黎。\n", "txt"),
        ("ฉันอาศัยอยู่ในกรุงเทพ\nเขาไปเชียงใหม่\n", "txt"),
        ("Anna lives in Oslo.\nThanks!\nBob went to Paris with Eve.\nBye!\n", "txt"),
        ("Anna lives in Oslo.\n\nBob went to Paris with Eve.\n\nBye!\n", "txt"),
        ("我\n在\n北京大学\n读书\n。\n", "conll"),
        ("Anna\nlives\nin\nOslo\n", "conll"),
        ("Anna NNP\nlives VBZ\n\nBob NNP\nleft\n" + "too RB\n" * 9, "conll"),
    ],
)
def test_words_a_line_are_told_from_texts_a_line(tmp_path, content, kind):
    assert opened(tmp_path, content, "rows.txt", reads_words=True).kind == kind
