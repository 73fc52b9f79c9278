"""Documents are cut into passages without losing a letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterbert.text.files.documents import Document
from afterbert.text.passages import Passages

CUT = Passages(least=20, most=60)


def texts(text):
    return [passage.text for passage in CUT([Document("d", text)])]


def letters(text):
    return "".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "Gamla myllan stóð við ána. Hún malaði korn á hverjum degi. Enginn vissi hver átti hana.",
        "पुरानी चक्की नदी के किनारे थी। वह हर दिन अनाज पीसती थी। कोई नहीं जानता था कि वह किसकी थी।",
        "老磨坊在河边。它每天磨谷物。没有人知道它属于谁。" * 4,
        "โรงสีเก่าอยู่ริมแม่น้ำมันบดข้าวทุกวันไม่มีใครรู้ว่าเป็นของใคร" * 3,
    ],
)
def test_long_paragraphs_are_cut_in_every_script(text):
    found = texts(text)
    assert len(found) > 1 and max(map(len, found)) <= 60
    assert letters("".join(found)) == letters(text)


def test_no_passage_is_empty():
    cut = Passages(least=2, most=5)
    assert [one.text for one in cut([Document("d", "aaaaa bbbbbbbbb      cc")])] == ["aaaaa", "bbbbb", "bbbb", "cc"]


def test_short_paragraphs_are_joined_and_documents_never():
    passages = list(CUT([Document("a", "A title\nThe first line of it.\n\nMore."), Document("b", "Short.")]))
    assert [tuple(one) for one in passages] == [
        ("a:1", "A title\nThe first line of it."),
        ("a:2", "More."),
        ("b:1", "Short."),
    ]


@given(st.text(alphabet="ab.\n 。 é", max_size=300))
def test_nothing_is_lost(text):
    found = texts(text)
    assert letters("".join(found)) == letters(text)
    assert all(found) and max(map(len, found), default=0) <= 60
