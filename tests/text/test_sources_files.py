"""Files, folders, packed files, standard input: what is opened, in which order, and what is not."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.from_paths import sources_for
from afterbert.text.reading import read
from afterbert.text.sources import stdin
from afterbert.text.sources.folder import Folder
from afterbert.text.sources.jsonl import Jsonl
from afterbert.text.sources.txt import Txt


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(files: dict[str, bytes | str]) -> None:
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_a_folder_is_read_in_one_order_and_says_what_it_passed_over() -> None:
    write(
        {
            "d/b.txt": "b one\n\nb two",
            "d/a.JSONL": '{"text": "a"}\n',
            "d/sub/c.csv": "text\nc\n",
            "d/sub-x.md": "dash",
            "d/sub/empty.txt": "",
            "d/x.pdf": "%PDF",
            "d/y.PDF": "%PDF",
            "d/data.zip": "PK",
            "d/LICENSE": "free",
            "d/.hidden.txt": "hidden",
            "d/.git/config.txt": "hidden",
            "outside.txt": "outside",
        }
    )
    os.symlink("../outside.txt", "d/link.txt")
    os.symlink("..", "d/loop")
    tally = Tally()
    [folder] = sources_for(["d"])
    documents = list(read([folder], Policy(max_dropped_share=0.5), tally))
    assert [(document.id, document.text) for document in documents] == [
        ("d/a.JSONL@0", "a"),
        ("d/b.txt@0", "b one\n\nb two"),
        ("d/sub/c.csv@5", "c"),
        ("d/sub-x.md@0", "dash"),
    ]
    assert tally.passed_over == {".pdf": 2, ".zip": 1, "no extension": 1, "hidden": 2, "link": 2}
    assert tally.files == {".jsonl": 1, ".txt": 2, ".csv": 1, ".md": 1}
    assert "  passed over: .pdf" in tally.table() and "empty" in tally.table()
    assert list(folder.digest()) == ["d/a.JSONL", "d/b.txt", "d/sub/c.csv", "d/sub/empty.txt", "d/sub-x.md"]


def test_in_a_folder_a_small_text_is_one_document_and_a_large_one_a_corpus() -> None:
    large = b"one\n\ntwo\n\n" * 110_000
    write({"d/small.txt": "a\n\nb", "d/large.txt": large, "d/large.txt.gz": gzip.compress(large, 1)})
    documents = {source.path: source.documents for source in Folder("d").files()[0]}  # type: ignore[attr-defined]
    assert documents == {
        os.path.join("d", "large.txt"): "paragraphs",
        os.path.join("d", "large.txt.gz"): "paragraphs",
        os.path.join("d", "small.txt"): "file",
    }
    [asked] = sources_for(["d"], documents="line")
    assert isinstance(asked, Folder)
    assert {source.documents for source in asked.files()[0]} == {"line"}  # type: ignore[attr-defined]


def test_kinds_are_guessed_from_extensions() -> None:
    write(dict.fromkeys(["a.txt", "b.ndjson.gz", "c.TSV", "wiki.train.tokens", "e/x.txt"], "x"))
    write({"b.ndjson.gz": gzip.compress(b'{"body": "b"}')})
    names = [
        type(s).__name__
        for s in sources_for(["a.txt", "b.ndjson.gz", "c.TSV", "wiki.train.tokens", "e", "-", "hub:x/y"])
    ]
    assert names == ["Txt", "Jsonl", "Tsv", "Txt", "Folder", "Stdin", "Hub"]
    assert sources_for(["a.txt"], kind="jsonl", text_key="body") == [Jsonl("a.txt", name="a.txt", text_key="body")]
    assert sources_for([]) == []


def test_files_that_are_called_alike_keep_apart() -> None:
    write({"a/x.txt": "a", "b/x.txt": "b"})
    assert [document.id for document in read(sources_for(["a/x.txt", "b/x.txt"]))] == ["a/x.txt@0", "b/x.txt@0"]


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("nothing.txt", {}, "nothing.txt cannot be read: No such file or directory; check the path"),
        ("a.foo", {}, "a.foo has the extension '.foo', known are .csv, .ds, .jsonl, .jsonlines, .markdown, .md, "
                      ".ndjson, .parquet, .pq, .raw, .tab, .text, .tokens, .tsv, .txt "
                      "(and .gz, .zst behind); or say its kind"),
        ("a.tar.gz", {}, "a.tar.gz is an archive, which is not opened; unpack it and name the folder"),
        ("a.zip", {}, "a.zip is an archive, which is not opened; unpack it and name the folder"),
        ("a.txt", {"kind": "json"}, "no kind of file is called 'json'; did you mean 'jsonl'?"),
        ("a.txt", {"text_kye": "x"}, "no source has an option 'text_kye'; did you mean 'text_key'?"),
        ("empty", {}, "empty holds no file to read (found: nothing); known are .csv, .ds, .jsonl, .jsonlines, "
                      ".markdown, .md, .ndjson, .parquet, .pq, .raw, .tab, .text, .tokens, .tsv, .txt"),
        ("pdfs", {"kind": "txt"}, "pdfs holds no file to read (found: .csv 1, .pdf 1); known are .markdown, .md, .raw, "
                                  ".text, .tokens, .txt"),
        ("pipe", {"kind": "txt"}, "pipe is not a regular file; pipe it in and name it '-'"),
        ("esc\x1b[31m.txt", {},
         "esc\\x1b[31m.txt cannot be read: No such file or directory; check the path"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(path: str, options: dict[str, str], message: str) -> None:
    write(dict.fromkeys(["a.foo", "a.tar.gz", "a.zip", "a.txt", "pdfs/x.csv"], "x") | {"pdfs/x.pdf": "%PDF-1.4"})
    Path("empty").mkdir()
    os.mkfifo("pipe")
    with pytest.raises(UserError) as caught:
        [part for source in sources_for([path], **options) for part in source.parts(10**6)]  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_an_option_without_effect_warns() -> None:
    write({"a.txt": "x"})
    with pytest.warns(UserWarning, match="the option 'text_key' has no effect"):
        sources_for(["a.txt"], text_key="body")
    with pytest.warns(UserWarning, match="the option 'documents' has no effect"):
        sources_for(["-"], kind="jsonl", documents="line")


def test_packed_files_give_what_the_plain_ones_give() -> None:
    zstandard = pytest.importorskip("zstandard")
    raw = "Zeile eins\r\n\r\nZwei \u00fc\n\n".encode() * 5000
    two_frames = zstandard.compress(raw[:30]) + zstandard.compress(raw[30:])
    write({"a.txt": raw, "b.txt.gz": gzip.compress(raw), "c.txt.zst": zstandard.compress(raw), "d.txt.zst": two_frames})
    write({"e.txt.gz": gzip.compress(raw[:30]) + gzip.compress(raw[30:])})
    expected = [document.text for document in read([Txt("a.txt")])]
    assert len(expected) == 10_000
    for name in ("b.txt.gz", "c.txt.zst", "d.txt.zst", "e.txt.gz"):
        [part] = Txt(name).parts(1000)
        assert [document.text for document in part.documents(Policy(), Tally())] == expected, name


def test_places_in_packed_files_are_those_of_the_content() -> None:
    write({"a.txt.gz": gzip.compress(b"x\n" * 10 + b"\xff")})
    with pytest.raises(UserError, match=r"a.txt.gz:11 \(byte 20\): byte 0xFF"):
        list(read([Txt("a.txt.gz")]))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("a.txt.gz", lambda packed: packed[:-10], r"a.txt.gz is not sound gzip data \(Compressed file ended before"),
        ("a.txt.gz", lambda packed: packed[:20] + b"xx" + packed[22:], r"a.txt.gz is not sound gzip data"),
        ("a.txt.gz", lambda packed: b"plain text", r"a.txt.gz is not sound gzip data \(Not a gzipped file"),
        ("a.txt.zst", lambda packed: packed[:-10], r"a.txt.zst is not sound zstd data \(it ends early\)"),
        ("a.txt.zst", lambda packed: b"plain text", r"a.txt.zst is not sound zstd data"),
    ],
)
def test_damaged_packed_files_are_refused(name: str, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    zstandard = pytest.importorskip("zstandard")
    raw = os.urandom(300).hex().encode()
    packed = gzip.compress(raw) if name.endswith(".gz") else zstandard.compress(raw)
    write({name: damage(packed)})
    with pytest.raises(UserError, match=message):
        list(read([Txt(name)]))


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    zstandard = pytest.importorskip("zstandard")
    monkeypatch.setattr(streams, "UNSUSPICIOUS_BYTES", 1_000_000)
    bomb = b"boom " * 1_000_000
    write(
        {
            "a.txt.gz": gzip.compress(bomb),
            "b.txt.zst": zstandard.compress(bomb),
            "c.txt.gz": gzip.compress(b"fine " * 1000),
        }
    )
    size = os.path.getsize("a.txt.gz")
    with pytest.raises(UserError) as caught:
        list(read([Txt("a.txt.gz")]))
    assert str(caught.value) == (
        f"a.txt.gz unpacks to more than {200 * size:,} bytes from {size:,}: refused as a bomb; if it is sound, "
        "unpack it yourself"
    )
    with pytest.raises(UserError, match=r"b.txt.zst unpacks to more than 1,000,000 bytes from"):
        list(read([Txt("b.txt.zst")]))
    with pytest.raises(UserError, match=r"c.txt.gz unpacks to more than 4,000 bytes"):
        list(read([Txt("c.txt.gz", max_unpacked_bytes=4000)]))
    assert len(list(read([Txt("c.txt.gz")]))) == 1


def test_without_zstandard_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    write({"a.txt.zst": "x"})
    with pytest.raises(UserError) as caught:
        list(read([Txt("a.txt.zst")]))
    assert str(caught.value) == "a.txt.zst needs the zstandard library: pip install 'afterbert[data]'"


def test_standard_input_can_be_read_in_parts_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin._put_aside.cache_clear()
    piped = b'{"text": "one"}\n{"text": "two"}\n{"text": "\xff"}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(piped)))
    [source] = sources_for(["-"], kind="jsonl")
    parts = source.parts(10)
    assert len(parts) == 3 and list(source.digest()) == ["stdin"]
    assert [d.id for part in parts[:2] for d in part.documents(Policy(), Tally())] == ["stdin@0", "stdin@16"]
    with pytest.raises(UserError, match=r"stdin:3 \(byte 42\): byte 0xFF"):
        list(parts[2].documents(Policy(), Tally()))
    folder = os.path.dirname(stdin._put_aside())
    assert os.stat(folder).st_mode & 0o777 == 0o700
    stdin._remove(folder, os.getpid())
    stdin._put_aside.cache_clear()
    assert not os.path.exists(folder)


def test_names_with_spaces_emoji_and_bytes_that_are_no_text() -> None:
    names = ["with space.txt", "\U0001f600.txt", os.fsdecode(b"caf\xe9.txt")]
    try:
        write({f"d/{name}": "x" for name in names})
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    documents = list(read(sources_for(["d"])))
    assert [document.id for document in documents] == ["d/caf\\xe9.txt@0", "d/with space.txt@0", "d/\U0001f600.txt@0"]
    "".join(document.id for document in documents).encode()


def test_the_digest_follows_the_content() -> None:
    write({"a.txt": "one", "b.txt": "one"})
    first = Txt("a.txt").digest()["a.txt"]
    assert first == Txt("b.txt").digest()["b.txt"] and first.startswith("3-")
    write({"a.txt": "two"})
    assert Txt("a.txt").digest()["a.txt"] != first
    write({"a.txt": "one"})
    assert Txt("a.txt", documents="file", language="is").digest()["a.txt"] == f"{first} language=is documents=file"
