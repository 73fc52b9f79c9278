"""JSON lines: what is refused, with its line; and any text comes back as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.reading import read
from afterbert.text.sources.jsonl import Jsonl

GOOD = b'{"text": "fine", "id": "x"}\n'


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"text": "cut of', "not a JSON object: Unterminated string starting at column 10; is the line cut off?"),
        (b'{"text": "a"', "not a JSON object: Expecting ',' delimiter at column 13; is the line cut off?"),
        (b'{"text": "a"} {"text": "b"}',
         "not a JSON object: extra data at column 14; mend the line, or read the file as another kind"),
        (b"plain text",
         "not a JSON object: Expecting value at column 1; mend the line, or read the file as another kind"),
        (b'{"txt": "a", "id": 3}', "no key 'text'; did you mean 'txt'?"),
        (b'{"body": "a", "id": 3}', "no key 'text'; known: body, id"),
        (b'{"te\\u001b[31mx": "a"}', "no key 'text'; known: te\\x1b[31mx"),
        (b"{}", "no key 'text'; known: none"),
        (b'{"text": 3}', "'text' is a number, not a string; name the key that holds the text"),
        (b'{"text": null}', "'text' is null, not a string; name the key that holds the text"),
        (b'{"text": ["a"]}', "'text' is a list, not a string; name the key that holds the text"),
        (b'{"text": true}', "'text' is a truth value, not a string; name the key that holds the text"),
        (b'["text"]', 'the line holds a list, not a JSON object; write {"text": "..."} on each line'),
        (b'"text"', 'the line holds a string, not a JSON object; write {"text": "..."} on each line'),
        (b'{"text": "a", "text": "b"}', "the key 'text' stands twice in one object; mend the line"),
        (b'{"text": "a", "m": {"k": 1, "k": 1}}', "the key 'k' stands twice in one object; mend the line"),
        (b'{"text": "a", "score": NaN}', "NaN is not JSON; mend the line"),
        (b'{"text": "a", "score": -Infinity}', "-Infinity is not JSON; mend the line"),
        (b'{"text": "a\tb"}',
         "not a JSON object: Invalid control character at column 12; mend the line, or read the file as another kind"),
        (b'{"text": "a\\ud83d!"}',
         "'\\ud83d' is half a character (a lone surrogate); mend the text, or say --errors replace or "
             "skip-document"),
        (b'{"text": "\\udc80"}',
         "'\\udc80' is half a character (a lone surrogate); mend the text, or say --errors replace or skip-document"),
        (b'{"text": ' + b"[" * 100_000, "the object is nested too deeply; mend the line"),
        (b'{"text": "a", "n": ' + b"9" * 5000 + b"}", "a number is too long; mend the line"),
    ],
)  # fmt: skip
def test_broken_lines_are_refused_with_file_and_line(line: bytes, problem: str) -> None:
    Path("a.jsonl").write_bytes(GOOD + b"\n" + line + b"\n" + GOOD)
    with pytest.raises(UserError) as caught:
        list(read([Jsonl("a.jsonl")]))
    assert str(caught.value) == f"a.jsonl:3 (byte 29): {problem}"
    tally = Tally()
    kept = list(read([Jsonl("a.jsonl")], Policy(errors="skip-document", max_dropped_share=0.5), tally))
    assert [document.text for document in kept] == ["fine", "fine"] and sum(tally.dropped.values()) == 1


def test_invalid_utf8_is_told_to_the_byte() -> None:
    Path("a.jsonl").write_bytes(GOOD + b'  {"text": "caf\xe9"}\n')
    with pytest.raises(UserError, match=r"a.jsonl:2 \(byte 43\): byte 0xE9"):
        list(read([Jsonl("a.jsonl")]))
    replaced = list(read([Jsonl("a.jsonl")], Policy(errors="replace")))
    assert replaced[1].text == "caf\ufffd"


def test_keys_ids_and_languages() -> None:
    lines = [
        {"body": "one", "id": 7, "lang": "de"},
        {"body": "two", "lang": "fr", "id": "b"},
        {"body": "3", "lang": "en"},
    ]
    Path("a.ndjson").write_text("\r\n".join(map(json.dumps, lines)))
    source = Jsonl("a.ndjson", text_key="body", language_key="lang", name="n")
    second = len(json.dumps(lines[0])) + len(json.dumps(lines[1])) + 4
    assert [tuple(document)[:3] for document in read([source])] == [
        ("7", "one", "de"), ("b", "two", "fr"), (f"n@{second}", "3", "en")]  # fmt: skip
    Path("b.jsonl").write_bytes(GOOD)
    with pytest.raises(UserError, match=r"b.jsonl:1 \(byte 0\): no key 'lang'; known: text, id"):
        list(read([Jsonl("b.jsonl", language_key="lang")]))
    assert next(iter(read([Jsonl("b.jsonl", language="is")]))).language == "is"
    Path("half.jsonl").write_text('{"text": "one", "lang": "d\\ud800"}')
    assert next(iter(read([Jsonl("half.jsonl", language_key="lang")]))).language == "d?"


def test_old_line_ends_a_mark_and_no_final_newline_change_nothing() -> None:
    expected = None
    for end in (b"\n", b"\r\n", b"\r"):
        for head in (b"", b"\xef\xbb\xbf"):
            for tail in (b"", end):
                raw = head + end.join([b'{"text": "a"}', b'{"text": "b"}']) + tail
                Path("a.jsonl").write_bytes(raw)
                texts = [document.text for document in read([Jsonl("a.jsonl")])]
                expected = expected or texts
                assert texts == expected == ["a", "b"]


@settings(deadline=None)
@given(
    texts=st.lists(st.text(st.characters()), max_size=12),
    ascii=st.booleans(),
    chunk_bytes=st.integers(1, 50),
    target_bytes=st.integers(1, 100),
)
def test_any_text_comes_back(texts: list[str], ascii: bool, chunk_bytes: int, target_bytes: int) -> None:
    texts = [text.encode(errors="replace").decode() for text in texts]
    Path("a.jsonl").write_text(
        "".join(json.dumps({"text": t}, ensure_ascii=ascii) + "\n" for t in texts), encoding="utf-8"
    )
    policy, tally = Policy(), Tally()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(streams, "HEAD_BYTES", 3)
        parts = Jsonl("a.jsonl").parts(target_bytes)
        found = [document.text for part in parts for document in part.documents(policy, tally)]
    cleaned = [policy.clean(text).text for text in texts]
    assert found == [text for text in cleaned if text.strip()]
    assert tally.documents == len(texts)


@given(text=st.text(st.characters(categories=["Cs", "L", "N"]), min_size=1))
def test_half_characters_are_replaced_one_by_one(text: str) -> None:
    Path("a.jsonl").write_text(json.dumps({"text": text}) + "\n")
    expected = json.loads(json.dumps(text)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    [document] = read([Jsonl("a.jsonl")], Policy(errors="replace", normalization="none"))
    assert document.text == expected


def test_a_line_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afterbert.text.files.streams.MAX_LINE_BYTES", 1 << 20)
    Path("a.jsonl").write_bytes(GOOD + b'{"text": "' + b"x" * 3_000_000 + b'"}\n')
    with pytest.raises(UserError) as caught:
        list(read([Jsonl("a.jsonl")]))
    assert str(caught.value) == "a.jsonl:2 (byte 28): a line is longer than 1 MB; give each document a line of its own"
