"""The rules for text as functions, against Python's own tables and simple invariants."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.text.files import policy as rules
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy, cut_point

_ODD = st.sampled_from(
    "\x00\x1b\x7f\x85\u200b\u200d\u202e\u2028\ufeff\u0301\u0327\u1161\u11a8\u3099\u212b\ufb01\uff21é각가"
)
_TEXT = st.lists(st.one_of(st.characters(exclude_categories=["Cs"]), _ODD), max_size=40).map("".join)


def test_no_common_character_is_odd_or_can_compose() -> None:
    characters = [chr(code) for code in range(0x80, 0x30000)]
    pairs = [unicodedata.decomposition(c).split() for c in characters]
    second = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    second |= {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    common = [c for c in characters if not 0xD800 <= ord(c) < 0xE000 and not rules._NOT_COMMON.search(c)]
    assert len(common) > 40_000 and "é" in common and "中" in common and "’" in common
    for c in common:
        assert not unicodedata.combining(c) and unicodedata.is_normalized("NFC", c), hex(ord(c))
        assert c not in second and not rules._ODD.search(c), hex(ord(c))


@given(text=_TEXT, form=st.sampled_from(["NFC", "NFKC", "none"]))
def test_what_is_plain_is_left_alone_and_so_is_every_stretch_of_it(text: str, form: str) -> None:
    policy = Policy(normalization=form)  # type: ignore[arg-type]
    cleaned = policy.clean(text)
    if policy.is_plain(text.encode()):
        for stretch in (text, text[1:], text[:-1], text[len(text) // 2 :]):
            expected = stretch.replace("\r\n", "\n").replace("\r", "\n")
            assert policy.clean(stretch) == (expected, {}, {})
    assert policy.clean(cleaned.text).text == cleaned.text
    if form != "none":
        assert unicodedata.is_normalized(form, cleaned.text)  # type: ignore[arg-type]
    assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n" for c in cleaned.text)


def test_incomplete_character_at_the_end_is_still_plain() -> None:
    raw = "naïve 中文 \U0001f600".encode()
    assert all(Policy().is_plain(raw[:stop]) for stop in range(len(raw) + 1))


@settings(deadline=None)
@given(text=st.text(st.sampled_from("ab.,，。 \n\t\u3000\u0301\u200d中ก็"), max_size=120), limit=st.integers(10, 30))
def test_broken_runs_are_short_and_nothing_else_changes(text: str, limit: int) -> None:
    broken, count = Policy(max_run_length=limit).break_runs(text)
    assert max(map(len, broken.split()), default=0) <= limit
    assert len(broken) == len(text) + count
    original, at = list(text), 0
    for character in broken:
        if at < len(original) and character == original[at]:
            at += 1
        else:
            assert character == " "
    assert at == len(text)


def test_runs_break_behind_punctuation_and_never_before_marks() -> None:
    policy = Policy(max_run_length=20)
    chinese = "天地玄黄宇宙洪荒日月盈昃，辰宿列张，寒来暑往秋收冬藏闰余成岁"
    assert policy.break_runs(chinese) == ("天地玄黄宇宙洪荒日月盈昃，辰宿列张， 寒来暑往秋收冬藏闰余成岁", 1)
    assert policy.break_runs("x" * 20) == ("x" * 20, 0)
    assert policy.break_runs("x" * 41) == (" ".join(["x" * 20, "x" * 20, "x"]), 2)
    accents = "e\u0301" * 21
    for run in policy.break_runs(accents)[0].split():
        assert run[0] == "e"
    for syllable in ("กี่", "नी", "กำ", "\U0001f44d\U0001f3fd"):
        assert all(run[0] == syllable[0] for run in policy.break_runs(syllable * 30)[0].split())
        assert cut_point((syllable * 90).encode(), 101) % len(syllable.encode()) == 0
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 8
    assert all(run[0] == "\U0001f469" for run in policy.break_runs(family)[0].split())


def test_one_million_characters_without_white_space() -> None:
    broken, count = Policy().break_runs("abcdefghij" * 100_000)
    assert count == 999 and max(map(len, broken.split())) == 1000


@given(text=st.text(st.sampled_from("ab. !?\n。é\u0301中\U0001f600\u200d"), min_size=50, max_size=300))
def test_pieces_are_short_whole_characters_and_lose_only_white_space(text: str) -> None:
    pieces = list(Policy(max_document_bytes=100).pieces(text.encode()))
    assert all(len(piece) <= 100 for piece in pieces)
    assert "".join("".join(piece.decode().split()) for piece in pieces) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("First one. Second one! Third is longer", "First one. Second one! "),
        ("一二三。四五六。七八九十", "一二三。四五六。"),
        ("no end of sentence here at all, only words", "no end of sentence here at "),
        ("abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz0123"),
        ("x" * 29 + "e\u0301yy", "x" * 29),
        ("Version 3.14 is out now and is", "Version 3.14 is out now and is"),
    ],
)
def test_documents_are_cut_at_sentences_words_or_characters(text: str, piece: str) -> None:
    assert next(Policy(max_document_bytes=100).pieces(text.encode())).decode() == text
    raw = text.encode()
    if len(raw) > 30:
        assert raw[: cut_point(raw, 30)].decode() == piece


def test_the_share_of_dropped_documents_is_judged_at_the_end() -> None:
    Policy(max_dropped_share=0.25).check(Tally(documents=4, kept=3, dropped={"broken": 1}))
    with pytest.raises(UserError, match=r"25\.0% of the documents were dropped \(broken 1\), max_dropped_share is 20%"):
        Policy(max_dropped_share=0.2).check(Tally(documents=4, kept=3, dropped={"broken": 1}))


def test_a_megabyte_of_combining_marks_is_valid_text() -> None:
    for text in ("a" + "\u0301" * 500_000, "\u0301" * 500_000, "क" + "\u093f" * 400_000):
        raw = text.encode()
        pieces = list(Policy(max_document_bytes=100_000).pieces(raw))
        assert "".join(piece.decode() for piece in pieces) == text
        assert len(pieces) > 8 and all(len(piece) <= 100_000 for piece in pieces)
