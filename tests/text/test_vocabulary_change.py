"""Another vocabulary: growing keeps old numbers, trimming keeps the pieces of its texts, and every new piece
knows what it is made of."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from afterbert.base.errors import UserError
from afterbert.text.pieces.spelling import Spellings
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.pieces.vocabulary_change import extended, fertility, mean_rows, replaced, trimmed
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.bpe import BPE
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.tokenizers.unigram import Unigram
from afterbert.text.tokenizers.wordpiece import WordPiece

RECIPES: dict[str, TokenizerRecipe] = {
    "wordpiece": WordPiece(vocab_size=400, lowercase=True),
    "byte_level_bpe": ByteLevelBPE(vocab_size=500),
    "unigram": Unigram(vocab_size=400),
}
COMMON = [
    f"the {colour} {animal} sat on the {place} and looked at the {colour} {place} for a while"
    for colour in ("red", "green", "yellow", "purple")
    for animal in ("cat", "dog", "rabbit", "sparrow", "hedgehog")
    for place in ("mat", "table", "window", "garden wall")
]
MINE = ["the electrocardiogram showed a tachycardia", "no tachycardia, said the electrocardiogram"] * 3


@pytest.fixture(params=RECIPES, scope="module")
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return RECIPES[request.param].make(COMMON, corpus_bytes=sum(map(len, COMMON)))


def test_frequent_words_become_one_piece_and_old_pieces_keep_their_numbers(tokenizer: Tokenizer) -> None:
    change = extended(tokenizer, MINE, more=60, units="words")
    old, new = tokenizer.backend.get_vocab(), change.tokenizer.backend.get_vocab()
    assert {piece: new[piece] for piece in old} == old
    assert len(change.parents) == change.tokenizer.vocabulary.size > tokenizer.vocabulary.size
    ids = change.tokenizer.encode("the electrocardiogram")
    assert len(ids) == 2 and tokenizer.vocabulary.unk not in ids
    assert fertility(change.tokenizer, MINE) < fertility(tokenizer, MINE)
    for text in MINE if tokenizer.vocabulary.unk not in tokenizer.encode(MINE[0]) else []:
        assert change.tokenizer.decode(change.tokenizer.encode(text)) == tokenizer.decode(tokenizer.encode(text))


def test_texts_without_the_new_words_keep_their_pieces(tokenizer: Tokenizer) -> None:
    change = extended(tokenizer, MINE, more=60, units="words")
    assert all(change.tokenizer.encode(text) == tokenizer.encode(text) for text in COMMON)


def test_a_new_piece_is_made_of_the_pieces_its_word_had(tokenizer: Tokenizer) -> None:
    change = extended(tokenizer, MINE, more=60, units="words")
    new = change.tokenizer.encode("electrocardiogram, a electrocardiogram")[-1]
    before = tokenizer.encode("electrocardiogram, a electrocardiogram")
    parents = list(change.parents[new])
    assert parents == before[-len(parents) :]
    assert len(parents) > 1 or parents == [tokenizer.vocabulary.unk]


def test_frequent_neighbours_become_one_piece(tokenizer: Tokenizer) -> None:
    change = extended(tokenizer, MINE, more=60)
    old, new = tokenizer.backend.get_vocab(), change.tokenizer.backend.get_vocab()
    assert {piece: new[piece] for piece in old} == old
    assert len(change.parents) == change.tokenizer.vocabulary.size <= tokenizer.vocabulary.size + 60
    unknown = tokenizer.vocabulary.unk
    if unknown in tokenizer.encode(MINE[0]):
        return  # its letters are unknown: nothing to go on from
    assert fertility(change.tokenizer, MINE) < fertility(tokenizer, MINE)
    # what other words share is shorter too
    assert len(change.tokenizer.encode("cardiogram")) < len(tokenizer.encode("cardiogram"))
    for text in MINE:
        before, after = tokenizer.encode(text), change.tokenizer.encode(text)
        assert [old for piece in after for old in change.parents[piece]] == before
        assert change.tokenizer.decode(after) == tokenizer.decode(before)
    again = extended(tokenizer, MINE, more=60)
    assert again.tokenizer.file == change.tokenizer.file


@pytest.mark.parametrize("units", ["pieces", "words"])
@pytest.mark.parametrize(
    "text", ["Það er þröngt á þingi. Áin er í Þjórsá.", "यह हिन्दी है। हिन्दी में", "ภาษาไทย ภาษา", "北京大学 在 北京大学"]
)
def test_characters_that_were_bytes_become_pieces_that_spell_them(text, units) -> None:
    old = BPE(vocab_size=400).make(COMMON, corpus_bytes=sum(map(len, COMMON)))
    change = extended(old, [text] * 3, more=60, units=units)
    before, after = old.encode(text), change.tokenizer.encode(text)
    assert len(after) < len(before) / 2 and change.tokenizer.vocabulary.size <= old.vocabulary.size + 60
    assert change.tokenizer.decode(after) == old.decode(before) == text
    assert int(Spellings.of(change.tokenizer).sizes[after].sum()) == int(Spellings.of(old).sizes[before].sum())
    assert [piece for one in after for piece in change.parents[one]] == before
    assert min(extended(old, ["XYZ " * 9], more=9, units=units).new_rows) >= old.vocabulary.size
    again = extended(change.tokenizer, [f"{text} ðþ ๆ 京"] * 3, more=60, units=units)
    assert again.tokenizer.decode(again.tokenizer.encode(text)) == text


def test_sentinels_behind_a_unigram_models_pieces_keep_their_numbers() -> None:
    old = Unigram(vocab_size=400, sentinels=3).make(COMMON, corpus_bytes=sum(map(len, COMMON)))
    texts = ["the hot cat sat at the hotel window and wrote a letter"] * 3
    change = extended(old, texts, more=9)
    assert change.tokenizer.vocabulary.sentinels == old.vocabulary.sentinels
    assert change.tokenizer.vocabulary.size == len(change.parents) == old.vocabulary.size + 9
    assert fertility(change.tokenizer, texts) < fertility(old, texts)
    assert all(change.tokenizer.backend.token_to_id(p) == i for p, i in old.backend.get_vocab().items())
    shown = "the <extra_id_0> sat <extra_id_2>"
    assert change.tokenizer.backend.encode(shown).ids == old.backend.encode(shown).ids
    assert all(change.tokenizer.encode(text) == old.encode(text) for text in ("", "red", "purple"))


def test_no_more_than_asked(tokenizer: Tokenizer) -> None:
    change = extended(tokenizer, MINE, more=1, units="words")
    assert change.tokenizer.vocabulary.size <= tokenizer.vocabulary.size + 1
    assert change.parents[: tokenizer.vocabulary.size] == tuple((i,) for i in range(tokenizer.vocabulary.size))


def test_trimming_keeps_the_pieces_of_its_texts_and_all_special_ones(tokenizer: Tokenizer) -> None:
    kept = COMMON[:3]
    change = trimmed(tokenizer, kept)
    old, new = tokenizer.vocabulary, change.tokenizer.vocabulary
    assert new.size == len(change.parents) < old.size
    for text in kept:
        ids = change.tokenizer.encode(text)
        assert [change.parents[number][0] for number in ids] == tokenizer.encode(text)
    for name in ("pad", "unk", "cls", "sep", "mask", "bos", "eos"):
        number = getattr(new, name)
        assert (None if number is None else change.parents[number][0]) == getattr(old, name)
    whole, cut = (t.backend.encode(kept[0]) for t in (tokenizer, change.tokenizer))
    assert whole.tokens == cut.tokens, "what stands around a text is renumbered too"
    assert [change.parents[number][0] for number in cut.ids] == whole.ids


def test_another_tokenizer_takes_over_rows_by_text_and_role(tokenizer: Tokenizer) -> None:
    new = WordPiece(vocab_size=300, lowercase=True).make(COMMON, corpus_bytes=10_000)
    change = replaced(tokenizer, new)
    assert len(change.parents) == new.vocabulary.size and all(change.parents)
    for name in ("pad", "unk", "cls", "sep", "mask"):
        ours, theirs = getattr(new.vocabulary, name), getattr(tokenizer.vocabulary, name)
        if theirs is not None:
            assert change.parents[ours] == (theirs,), name
    have = tokenizer.backend.get_vocab()
    same = {piece: number for piece, number in new.backend.get_vocab().items() if piece in have}
    assert len(same) > 20
    assert all(change.parents[number] == (have[piece],) for piece, number in same.items())


def test_vowel_signs_belong_to_words() -> None:
    made = RECIPES["byte_level_bpe"].make(COMMON, corpus_bytes=1000)
    assert fertility(made, ["किताब, हिन्दी"]) == len(made.encode("किताब, हिन्दी")) / 2


def test_rows_are_means_of_their_parents() -> None:
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert mean_rows(table, [(3,), (0, 1, 2)]).tolist() == [[6, 7], [2, 3]]
    assert mean_rows(table[:, 0], [(0, 3)]).tolist() == [3]


def test_a_tokenizer_without_words_cannot_grow(tokenizer: Tokenizer) -> None:
    content = json.loads(tokenizer.file) | {"pre_tokenizer": None}
    with pytest.raises(UserError, match="without words cannot be extended") as refusal:
        extended(replace(tokenizer, file=json.dumps(content)), MINE, more=5)
    assert len(refusal.value.lines) == 1
