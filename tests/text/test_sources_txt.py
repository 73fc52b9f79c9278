"""Plain text: every oddity of bytes, against a slow reference that works on the whole file at once."""

from __future__ import annotations

import gzip
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.reading import read
from afterbert.text.sources.txt import Txt

Found = tuple[list[str], Tally]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found_in(raw: bytes, policy: Policy | None = None, *, name: str = "a.txt", **options: object) -> Found:
    Path(name).write_bytes(raw)
    tally = Tally()
    policy = policy or Policy(max_dropped_share=1)
    documents = list(read([Txt(name, **options)], policy, tally))  # type: ignore[arg-type]
    return [document.text for document in documents], tally


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"one\ntwo\n\nthree\n", ["one\ntwo", "three"]),
        (b"one\r\ntwo\r\n\r\nthree\r\n", ["one\ntwo", "three"]),
        (b"one\rtwo\r\rthree\r", ["one\ntwo", "three"]),
        (b"one\ntwo\r\n\rthree", ["one\ntwo", "three"]),
        (b"\xef\xbb\xbfone\ntwo\n\nthree", ["one\ntwo", "three"]),
        (b"\n\n  one\ntwo \t\n \t \n\n\n three \n", ["one\ntwo", "three"]),
        ("one\u2028two\u2029\x85three\x0bfour\x0cfive\n\nsix".encode(), ["one\u2028two\u2029 three four five", "six"]),
        (b"a\x00b\x1b[31mc\x7fd\te" + b" " * 8192, None),
        (b" " * 8192 + b"a\x00b\x1b[31mc\x7fd\te", ["a b [31mc d\te"]),
        ("cafe\u0301 \ufb01".encode(), ["café \ufb01"]),
        ("a\u200bb \u202egnp.exe \U0001f469\u200d\U0001f4bb\n\n\ufeffc".encode(),
         ["a\u200bb \u202egnp.exe \U0001f469\u200d\U0001f4bb", "\ufeffc"]),
        ("\u00a0\u3000\n\nx".encode(), ["x"]),
    ],
)  # fmt: skip
def test_bytes_become_documents(raw: bytes, expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(UserError, match="binary"):
            found_in(raw)
    else:
        assert found_in(raw)[0] == expected


def test_what_was_done_is_counted_with_its_place() -> None:
    raw = "fine\n\nbell\x07 and\x07 more\n\ncafe\u0301\n\nzero\u200bwidth \u202bbidi\n\n\u00a0\n\nmac\rline".encode()
    _, tally = found_in(raw)
    assert tally.documents == 6 and tally.kept == 5 and tally.bytes == len(raw) and tally.files == {".txt": 1}
    assert tally.dropped == {"empty": 1}
    assert tally.repaired == {
        "control characters made spaces": 2,
        "documents brought to NFC": 1,
        "lone carriage returns made line ends": 1,
    }
    assert tally.noticed == {"zero-width characters": 1, "bidirectional controls": 1}
    assert str(streams.located(tally.places["documents brought to NFC"])) == "a.txt:5 (byte 23)"


def test_the_table_stands_without_the_files() -> None:
    _, tally = found_in(b"fine\n\nbell\x07")
    with_line = "  repaired: control characters made spaces           1  first a.txt:3 (byte 6)"
    assert with_line in tally.table().splitlines()
    Path("a.txt").unlink()
    assert with_line.replace(":3 ", " ") in tally.table().splitlines()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"abc\n\nd\xe9f\n",
         "a.txt:3 (byte 6): byte 0xE9 ('é' in Windows-1252) is not UTF-8; convert the file, or say --errors "
         "replace or skip-document"),
        (b"abc\r\n\xed\xa0\x80",
         "a.txt:2 (byte 5): byte 0xED ('í' in Windows-1252) is not UTF-8; convert the file, or say --errors "
         "replace or skip-document"),
        (b"cut \xe2\x82",
         "a.txt:1 (byte 4): byte 0xE2 ('â' in Windows-1252) is not UTF-8; convert the file, or say --errors "
         "replace or skip-document"),
        (b"\x81",
         "a.txt:1 (byte 0): byte 0x81 is not UTF-8; convert the file, or say --errors replace or skip-document"),
        ("hello".encode("utf-16"),
         "a.txt looks like UTF-16LE, must be UTF-8; convert it: iconv -f UTF-16LE -t UTF-8 a.txt > NEW"),
        ("hello".encode("utf-16-le"),
         "a.txt looks like UTF-16LE, must be UTF-8; convert it: iconv -f UTF-16LE -t UTF-8 a.txt > NEW"),
        (b"\xfe\xff" + "hello".encode("utf-16-be"),
         "a.txt looks like UTF-16BE, must be UTF-8; convert it: iconv -f UTF-16BE -t UTF-8 a.txt > NEW"),
        ("hello you".encode("utf-16-be"),
         "a.txt looks like UTF-16BE, must be UTF-8; convert it: iconv -f UTF-16BE -t UTF-8 a.txt > NEW"),
        ("hello".encode("utf-32"),
         "a.txt looks like UTF-32LE, must be UTF-8; convert it: iconv -f UTF-32LE -t UTF-8 a.txt > NEW"),
        ("hello".encode("utf-32-be"),
         "a.txt looks like UTF-32BE, must be UTF-8; convert it: iconv -f UTF-32BE -t UTF-8 a.txt > NEW"),
        (b"some text\x00more text", "a.txt looks like binary data (a NUL at byte 9), not text; leave it out"),
        (gzip.compress(b"hello", mtime=0), "a.txt looks like gzip data, not text; end its name in .gz"),
        (b"%PDF-1.7\n", "a.txt looks like a PDF document, not text; extract its text first"),
        (b"\x89PNG\r\n\x1a\n", "a.txt looks like a PNG image, not text; extract its text first"),
        (b"PK\x03\x04...", "a.txt looks like a zip archive, not text; extract its text first"),
        (b"\x7fELF\x02", "a.txt looks like a program (ELF), not text; extract its text first"),
        (b"SQLite format 3\x00", "a.txt looks like an SQLite database, not text; extract its text first"),
        (b"PAR1\x15\x04", "a.txt looks like a Parquet file, not text; end its name in .parquet"),
        (b"x" * 257 + b"ustar\x0000", "a.txt looks like a tar archive, not text; unpack it first"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_refused_in_one_line(raw: bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        found_in(raw)
    assert str(caught.value) == message


def test_errors_replace_and_skip() -> None:
    raw = b"good\n\nbad \xff\xfe \xe2\x82 end\n\nlast"
    texts, tally = found_in(raw, Policy(errors="replace"))
    assert texts == ["good", "bad \ufffd\ufffd \ufffd end", "last"]
    assert tally.repaired == {"bytes that are not UTF-8, replaced": 3}
    texts, tally = found_in(raw, Policy(errors="skip-document", max_dropped_share=0.5))
    assert texts == ["good", "last"]
    assert tally.dropped == {"not UTF-8": 1} and tally.documents == 3
    assert str(streams.located(tally.places["not UTF-8"])) == "a.txt:3 (byte 10)"


def test_ascii_bytes_between_the_halves_of_a_character_hide_nothing() -> None:
    with pytest.raises(UserError, match=r"a.txt:1 \(byte 0\)"):
        found_in(b"\xc3a\xa9")


def test_too_much_dropped_or_nothing_kept() -> None:
    with pytest.raises(UserError) as caught:
        found_in(b"ok\n\n\xe9\n\n", Policy(errors="skip-document"))
    assert str(caught.value) == (
        "50.0% of the documents were dropped (not UTF-8 1), max_dropped_share is 10%; mend the files or raise it "
        "(--max-dropped-share)"
    )
    assert found_in(b"ok\n\n\xc2\xa0\n\n", Policy())[0] == ["ok"]
    for raw in (b"", b"\n \n\t\n", b"\xef\xbb\xbf"):
        with pytest.raises(UserError, match=r"no text was found in \d+ files of \d bytes in all; check the paths"):
            found_in(raw)
    with pytest.raises(UserError, match=r"all 1 documents were dropped \(empty 1\)"):
        found_in(b"", documents="file")


def test_one_document_a_line_or_a_file() -> None:
    raw = b"\n one\ntwo \r\n\n \nthree\n"
    assert found_in(raw, documents="line")[0] == ["one", "two", "three"]
    assert found_in(raw, documents="file")[0] == ["one\ntwo \n\n \nthree"]


def test_several_codes_make_several_languages_of_one() -> None:
    Path("a.txt").write_bytes(b"\n\n".join([b"some words", b"x" * 150] * 20))
    documents = list(read([Txt("a.txt", language="en,en-mirror")], Policy(max_document_bytes=100)))
    assert {document.language for document in documents} == {"en", "en-mirror"}
    of_whole = {document.id: document.language for document in documents}
    assert all(language == of_whole[id.removesuffix(".2")] for id, language in of_whole.items())


def test_ids_are_offsets_of_the_unpacked_file() -> None:
    raw = "é one\n\n\ntwo".encode()
    for name, data in (("a.txt", raw), ("b.txt.gz", gzip.compress(raw))):
        Path(name).write_bytes(data)
        ids = [document.id for document in read([Txt(name)])]
        assert ids == [f"{name}@0", f"{name}@9"]


def test_long_documents_are_cut_at_sentence_ends() -> None:
    sentence = "This is a sentence of some forty bytes. "
    texts, tally = found_in((sentence * 30).encode(), Policy(max_document_bytes=500))
    assert "".join(texts).replace(" ", "") == (sentence * 30).replace(" ", "")
    assert all(len(text) <= 500 and text.strip().endswith(".") for text in texts)
    assert (tally.documents, tally.pieces, tally.kept) == (1, 2, 3)
    ids = [document.id for document in read([Txt("a.txt")], Policy(max_document_bytes=500))]
    assert ids == ["a.txt@0", "a.txt@0.2", "a.txt@0.3"]


_PIECES = st.sampled_from(
    ["a", "b c", "é", "e\u0301", "\u4e2d", "\U0001f600", "\n", "\n\n", "\r\n", "\r", " ", "\t", "\x0c", "\x1c", "\x85",
     "\u2028", "\u200d", "\u00a0", "\x07", ". ", "word ", "\ufeff"]
)  # fmt: skip


def _reference(text: str) -> list[str]:
    """Line by line, on the whole text."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    documents: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip(" \t\r\f\v"):
            documents[-1].append(line)
        else:
            documents.append([])
    texts = ["\n".join(lines).strip(" \t\r\n\f\v") for lines in documents]
    texts = [unicodedata.normalize("NFC", re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ", text)) for text in texts]
    return [text for text in texts if text.strip()]


@settings(max_examples=settings.default.max_examples * 3 // 2)
@given(
    text=st.lists(_PIECES, max_size=60).map("".join), chunk_bytes=st.integers(1, 40), target_bytes=st.integers(1, 60)
)
def test_documents_are_those_of_the_reference_whatever_the_chunks_and_parts(
    text: str, chunk_bytes: int, target_bytes: int
) -> None:
    Path("a.txt").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(streams, "HEAD_BYTES", 3)
        source, tally = Txt("a.txt"), Tally()
        parts = source.parts(target_bytes)
        texts = [document.text for part in parts for document in part.documents(Policy(), tally)]
    assert texts == _reference(text)
    assert tally.bytes == len(text.encode()) - 3 * text.startswith("\ufeff")


@settings(max_examples=settings.default.max_examples * 3 // 2)
@given(
    raw=st.lists(st.one_of(_PIECES.map(str.encode), st.binary(max_size=3)), max_size=80).map(b"".join),
    chunk_bytes=st.integers(1, 300),
    target_bytes=st.integers(1, 300),
    mode=st.sampled_from(["paragraphs", "line", "file"]),
    errors=st.sampled_from(["replace", "skip-document"]),
)
def test_chunks_parts_and_the_fast_path_change_nothing(
    raw: bytes, chunk_bytes: int, target_bytes: int, mode: str, errors: str
) -> None:
    raw = b"words to begin with, more than a head of zeros\n\n" + raw.replace(b"\0", b"")
    Path("a.txt").write_bytes(raw)
    policy = Policy(errors=errors, max_document_bytes=100, max_run_length=10)  # type: ignore[arg-type]
    source = Txt("a.txt", documents=mode)  # type: ignore[arg-type]
    whole, in_parts = Tally(), Tally()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Policy, "is_plain", lambda policy, raw: False)
        expected = [document for part in source.parts(10**9) for document in part.documents(policy, whole)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(streams, "HEAD_BYTES", 3)
        documents = []
        for part in source.parts(target_bytes):
            tally = Tally()
            documents += part.documents(policy, tally)
            in_parts += tally
    assert documents == expected
    assert in_parts == whole
    assert whole.documents + whole.pieces == whole.kept + sum(whole.dropped.values())
