"""Texts as rows of pieces: framed as the tokenizer frames them, words and answers at their pieces, windows
without gaps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.downstream.example import AnswerSpan, Example
from afterbert.downstream.heads.span import Span, _best_span
from afterbert.downstream.heads.token import Token
from afterbert.downstream.posing.formatting import Formatter, Stretches
from afterbert.downstream.tasks.question_answering import QuestionAnswering
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE

WORDS = ["Ada", "sings", ".", "snow", "apple-trees", "naïve", "北京", "ok", "\u200b", "été", "soup's"]


@pytest.fixture(scope="module", params=["wordpiece", "bytes"])
def tokenizer(request, tiny_tokenizer):
    if request.param == "wordpiece":
        return tiny_tokenizer
    text = [" ".join(WORDS)] * 20
    return ByteLevelBPE(vocab_size=300, min_frequency=1).make(text, corpus_bytes=2000)


def test_rows_are_framed_as_the_tokenizer_frames_them(tokenizer):
    first = ["Ada sings .", "snow", "a  bridge  of stone"]
    second = ["In Oslo it rains .", "été", "."]
    formatter = Formatter(tokenizer, 64)
    encoded = formatter.encode([*first, *second])
    whole = Stretches.whole(encoded)
    halves = whole.take(np.arange(3)), whole.take(np.arange(3, 6))
    for rows, pairs in (
        (formatter.rows(encoded, halves[0]), first),
        (formatter.rows(encoded, *halves), zip(first, second)),
    ):
        for number, pair in enumerate(pairs):
            expected = tokenizer.plain.encode(*([pair] if isinstance(pair, str) else pair))
            here = slice(rows.row_starts[number], rows.row_starts[number + 1])
            assert rows.piece_ids[here].tolist() == expected.ids
            assert rows.planes["segment"][here].tolist() == expected.type_ids
            assert rows.planes["special"][here].tolist() == [bool(m) for m in expected.special_tokens_mask]
            text = [0 if number is None else number + 1 for number in expected.sequence_ids]
            assert rows.planes["text"][here].tolist() == text


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=8), st.integers(8, 30))
def test_the_longer_text_loses_its_end_until_both_fit(lengths, length):
    formatter = Formatter.__new__(Formatter)
    object.__setattr__(formatter, "length", length)
    object.__setattr__(formatter, "__dict__", {"length": length, "two": _FRAME, "one": _FRAME})
    first, second = np.array(lengths).T
    kept_first, kept_second = formatter.fit(Stretches(first * 0, first), Stretches(second * 0, second))
    for a, b, x, y in zip(first, second, kept_first.lengths, kept_second.lengths):
        # BERT's way, one piece at a time.
        while a + b > length - 3:
            a, b = (a - 1, b) if a > b else (a, b - 1)
        assert (x, y) == (a, b)


def test_a_length_without_room_is_refused(tiny_tokenizer):
    with pytest.raises(UserError, match="length 4 leaves no room for text beside special pieces; raise --length"):
        Formatter(tiny_tokenizer, 4).room(Formatter(tiny_tokenizer, 4).two)


tagged = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=1, max_size=4)


@given(tagged)
def test_each_word_s_tag_stands_at_its_first_piece(tokenizer, sentences):
    examples = [
        Example(str(i), tuple(words), tuple("XY"[j % 2] for j in range(len(words))))
        for i, words in enumerate(sentences)
    ]
    task = Tagging(labels=("X", "Y"), scheme="none")
    prepared = Token().prepare(task, examples, Formatter(tokenizer, 64))
    rows = prepared.rows
    for number, example in enumerate(examples):
        here = slice(rows.row_starts[number], rows.row_starts[number + 1])
        tags = rows.planes["tag"][here]
        found = tags[tags >= 0].tolist()
        # A word without any piece (a zero-width space, for some tokenizers) has no tag; all others have one.
        text = " ".join(example.texts)
        encoding = tokenizer.plain.encode(text, add_special_tokens=False)
        places = np.cumsum([0, *(len(word) + 1 for word in example.texts)])
        firsts = {}
        for begin, end in encoding.offsets:
            visible = (
                begin + len(" ".join(example.texts)[begin:end]) - len(" ".join(example.texts)[begin:end].lstrip(" "))
            )
            word = int(np.searchsorted(places, visible, side="right")) - 1
            if visible < end:
                firsts.setdefault(word, visible)
        assert found == [word % 2 for word in sorted(firsts)]
    best = np.eye(2)[np.maximum(rows.planes["tag"], 0)]
    outputs = [best[a:b] for a, b in pairwise(rows.row_starts)]
    for example, tags in zip(examples, (one.value for one in Token().answered(prepared, outputs))):
        assert len(tags) == len(example.texts)
        assert all(tag == truth or truth == "Y" for tag, truth in zip(tags, example.label))


CONTEXT = "Ada Berg wrote a song in Oslo. Snow fell on the naïve apple-trees of 北京, ok. Tom's soup was cold. " * 3


@pytest.mark.parametrize("length", [36, 48, 64])
@pytest.mark.parametrize("text", ["Ada", "Berg wrote", "apple-trees", "北京", "naïve", "Tom", "cold"])
def test_answers_are_found_again_in_every_window_that_holds_them(tokenizer, length, text):
    starts = [i for i in range(len(CONTEXT)) if CONTEXT.startswith(text, i)]
    examples = [Example(str(s), ("Where is it?", CONTEXT), (AnswerSpan(text, s),)) for s in starts]
    task = QuestionAnswering(may_be_unanswerable=False).settled(examples)
    prepared = Span(max_question=6).prepare(task, examples, Formatter(tokenizer, length))
    rows, found = prepared.rows, set()
    for row, (example, start, end) in enumerate(
        zip(prepared.example_of, prepared.row_arrays["start"], prepared.row_arrays["end"])
    ):
        at = rows.row_starts[row]
        if start >= 0:
            begin = rows.planes["first_character"][at + start]
            assert CONTEXT[begin : rows.planes["last_character"][at + end]].strip() in (text, text + "'s", "Tom's")
            found.add(int(example))
        assert rows.lengths[row] <= length
    assert found == set(range(len(examples)))


def test_windows_cover_the_context_and_overlap(tokenizer):
    examples = [Example("1", ("Where?", CONTEXT), ()), Example("2", ("Where?", "Oslo"), ())]
    formatter = Formatter(tokenizer, 32)
    prepared = Span(stride=8).prepare(QuestionAnswering(may_be_unanswerable=True), examples, formatter)
    rows = prepared.rows
    in_context = rows.planes["text"] == 2
    sources = [
        rows.planes["source"][(rows.row_of == row) & in_context] for row in np.flatnonzero(prepared.example_of == 0)
    ]
    together = np.unique(np.concatenate(sources))
    assert len(together) == len(formatter.encode([CONTEXT]).piece_ids)
    assert all(len(np.intersect1d(a, b)) > 0 for a, b in pairwise(sources))
    assert (prepared.example_of == 1).sum() == 1
    assert prepared.cut == 1


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.booleans()), min_size=1, max_size=12), st.integers(1, 5)
)
def test_the_best_span_is_the_best_of_all(pieces, longest):
    output = np.array([[start, end] for start, end, _ in pieces])
    inside = np.array([is_context for _, _, is_context in pieces])
    spans = [
        (output[a, 0] + output[b, 1], a, b)
        for a in range(len(pieces))
        for b in range(a, min(len(pieces), a + longest))
        if inside[a] and inside[b]
    ]
    score, first, last = _best_span(output, inside, longest)
    if spans:
        assert score == pytest.approx(max(spans)[0])
        assert first <= last < first + longest
    else:
        assert score == -np.inf


class _Frame:
    num_specials = 3


_FRAME = _Frame()
