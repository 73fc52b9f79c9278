"""CSV and TSV: columns, headers, quotes, and rows that do not fit."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.reading import read
from afterbert.text.sources import Source
from afterbert.text.sources.csv import Csv
from afterbert.text.sources.tsv import Tsv


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def texts(source: Source, policy: Policy | None = None) -> list[str]:
    return [document.text for document in read([source], policy or Policy(max_dropped_share=0.5))]


@pytest.mark.parametrize(
    ("raw", "options", "expected"),
    [
        (b"text,label\nhello,1\nyou,2\n", {}, ["hello", "you"]),
        (b"id,text\r\n1,hello\r\n2,you", {}, ["hello", "you"]),
        (b"\xef\xbb\xbftext,label\nhello,1", {}, ["hello"]),
        (b"a,b\nc,d\n", {"text_column": 2}, ["b", "d"]),
        (b"a,b\nc,d\n", {"text_column": 2, "header": True}, ["d"]),
        (b"a,b\nc,d\n", {"text_column": "b"}, ["d"]),
        (b"a,b\nc,d\n", {"text_column": "2"}, ["b", "d"]),
        (b"one\n\n \ntwo\n", {}, ["one", "two"]),
        (b"one\ntwo\n", {"header": True}, ["two"]),
        (b"text\ntext\n", {"header": False}, ["text", "text"]),
        (b'text\n"a, ""b""\nc"\n"d"\n', {}, ['a, "b"\nc', "d"]),
        (b'text\n"a\r\nb"\r\n', {}, ["a\nb"]),
        (b'a;"b;c"\n', {"delimiter": ";", "text_column": 2}, ["b;c"]),
        (b"id;text\n1;one, two\n2;three\n", {}, ["one, two", "three"]),
        (b"text|n\none; two, three|1\n", {}, ["one; two, three"]),
        (b"1;one, two\n2;three\n", {"text_column": 2}, ["one, two", "three"]),
        (b'text,n\n"one; two",3\n', {}, ["one; two"]),
    ],
)
def test_csv(raw: bytes, options: dict[str, object], expected: list[str]) -> None:
    Path("a.csv").write_bytes(raw)
    assert texts(Csv("a.csv", **options)) == expected  # type: ignore[arg-type]


def test_tsv_has_no_quotes_unless_told() -> None:
    Path("a.tsv").write_bytes(b'He said "hi\t"Er sagte\n\tnur "du"\n\'"\t"\n')
    assert texts(Tsv("a.tsv", text_column=2)) == ['"Er sagte', 'nur "du"', '"']
    assert texts(Tsv("a.tsv", text_column=1)) == ['He said "hi', "'\""]
    Path("b.tsv").write_bytes(b'text\tn\n"two\nlines"\t3\n')
    assert texts(Tsv("b.tsv", is_quoted=True)) == ["two\nlines"]


@pytest.mark.parametrize(
    ("raw", "options", "message"),
    [
        (b"\nid,txt\n1,a\n", {},
         "a.csv:2 (byte 1): no column is called 'text', did you mean 'txt'?; or give its number, counted from 1"),
        (b"id,body\n1,a\n", {"text_column": "title"},
         "a.csv:1 (byte 0): no column is called 'title', known: id, body; or give its number, counted from 1"),
        (b"text,n\na,1\nb,2\n\n", {"text_column": 3},
         "a.csv:1 (byte 0): the row has 2 column(s), the text is in column 3; is ',' the delimiter?"),
        (b"n,text\n1,a\n2\n", {},
         "a.csv:3 (byte 11): the row has 1 column(s), the text is in column 2; is ',' the delimiter?"),
        (b"text,n\na,1\nb, c,2\n", {},
         "a.csv:3 (byte 11): the row has 3 cells, the first row 2; put cells with ',' in them into quotes"),
        (b"text\na\nb, c\n", {},
         "a.csv:3 (byte 7): the row has 2 cells, the first row 1; put cells with ',' in them into quotes, or say "
         "--kind txt --documents line"),
        (b'text,n\na,1\n"b,2\nc,3\n', {},
         'a.csv:3 (byte 11): not a row of quoted cells: unexpected end of data; is a " left open, or not doubled?'),
        (b'text,n\n"a"b,1\n', {},
         "a.csv:2 (byte 7): not a row of quoted cells: ',' expected after '\"'; is a \" left open, or not doubled?"),
        (b"text,n\ncaf\xe9,1\n", {},
         "a.csv:2 (byte 10): byte 0xE9 ('é' in Windows-1252) is not UTF-8; convert the file, or say --errors replace "
         "or skip-document"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(raw: bytes, options: dict[str, object], message: str) -> None:
    Path("a.csv").write_bytes(raw)
    with pytest.raises(UserError) as caught:
        texts(Csv("a.csv", **options))  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_impossible_options() -> None:
    with pytest.raises(UserError, match="delimiter is 'ab', must be one character"):
        Csv("a.csv", delimiter="ab")
    with pytest.raises(UserError, match="text_column is 0, columns are counted from 1"):
        Csv("a.csv", text_column=0)


def test_skipped_and_replaced_rows() -> None:
    Path("a.csv").write_bytes(b'text,n\ngood,1\n"bad"x,2\ncaf\xe9,3\n"open\n')
    tally = Tally()
    documents = list(read([Csv("a.csv")], Policy(errors="skip-document", max_dropped_share=0.8), tally))
    assert [document.text for document in documents] == ["good"]
    assert tally.dropped == {"broken record": 2, "not UTF-8": 1} and tally.documents == 4
    Path("a.csv").write_bytes(b'text,n\n"caf\xe9\n\xff",3\n')
    assert texts(Csv("a.csv"), Policy(errors="replace")) == ["caf\ufffd\n\ufffd"]


_CELL = st.text(st.sampled_from('ab ,;"\n\t\réx中'), max_size=8)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(_CELL, _CELL), max_size=12), chunk_bytes=st.integers(1, 40), target_bytes=st.integers(1, 60)
)
def test_what_the_csv_module_wrote_comes_back_from_any_parts(
    rows: list[tuple[str, str]], chunk_bytes: int, target_bytes: int
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("n", "text"), *rows])
    Path("a.csv").write_bytes(written.getvalue().encode())
    source, whole, tally = Csv("a.csv"), Tally(), Tally()
    [part] = source.parts(10**9)
    expected = list(part.documents(Policy(), whole))
    policy = Policy()
    cells = [policy.clean(text).text for _, text in rows]
    assert [document.text for document in expected] == [text for text in cells if text.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(streams, "HEAD_BYTES", 3)
        found = [document for part in source.parts(target_bytes) for document in part.documents(policy, tally)]
    assert found == expected and tally == whole


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(_CELL, _CELL), max_size=12), chunk_bytes=st.integers(1, 40), target_bytes=st.integers(1, 60)
)
def test_tsv_is_lines_and_tabs(rows: list[tuple[str, str]], chunk_bytes: int, target_bytes: int) -> None:
    rows = [tuple(cell.translate({9: " ", 10: " ", 13: " "}) for cell in row) for row in rows]  # type: ignore[misc]
    Path("a.tsv").write_bytes("\n".join("\t".join(row) for row in rows).encode())
    source = Tsv("a.tsv", text_column=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(streams, "HEAD_BYTES", 3)
        found = [d.text for part in source.parts(target_bytes) for d in part.documents(Policy(), Tally())]
    assert found == [text for _, text in rows if text.strip()]
