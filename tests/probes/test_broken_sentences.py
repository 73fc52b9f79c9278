"""Sentences broken in one place, and what a model that knows the text makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.noise import Noise
from afterbert.models import LanguageModel
from afterbert.models.encoder import Encoder
from afterbert.probes.broken_sentences import BrokenSentences, _Neighbours, _swapped, is_word
from afterbert.probes.minimal_pairs import MinimalPairsProbe
from afterbert.probes.samples import filled_sentences
from afterbert.text.pieces.spelling import piece_texts
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.closing import broken_figures

SUBJECTS = ["the old man", "a young girl", "my brother", "the black cat", "her friend"]
VERBS = ["opened", "found", "painted", "carried", "forgot"]
OBJECTS = ["the red door", "a small box", "his blue coat", "the long letter"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    lines = [f"{s} {v} {o} ." for s in SUBJECTS for v in VERBS for o in OBJECTS]
    (folder / "text.txt").write_text("\n\n".join(lines * 3))
    return prepare(
        [Txt(path=str(folder / "text.txt"), documents="paragraphs")],
        folder / "store",
        tokenizer=WordPiece(vocab_size=120, min_frequency=1, lowercase=True),
        processes=1,
        held_out=0.3,
        least_pieces=1,
    )


def asked(store, predict):
    return BrokenSentences(count=40)(MinimalPairsProbe(predict, "left_to_right"), store)


def test_each_break_changes_one_thing(store):
    split, words = store.split("held_out"), is_word(store.tokenizer)
    sentences = BrokenSentences(count=40)._sentences(split, words)
    neighbours = _Neighbours.count(store.train if hasattr(store, "train") else store.split("train"), words)
    assert len(sentences) > 20
    for sentence in sentences:
        ids = sentence.pieces.ids
        swapped = _swapped(sentence, Noise(0))
        assert sorted(swapped.ids) == sorted(ids)
        assert swapped.ids.tolist() != ids.tolist()
        assert swapped.ids[0] == ids[0]
        replaced = neighbours.replaced(sentence, Noise(0))
        (place,) = np.flatnonzero(replaced.ids != ids)
        assert place > 0
        ranks = neighbours.rank[[ids[place], replaced.ids[place]]]
        assert 1 <= abs(ranks[0] - ranks[1]) <= 3


def test_a_model_of_short_rows_is_asked_about_short_sentences(store, monkeypatch):
    """Else a run would end in an error after all of its training."""
    kind = Encoder(hidden_size=8, num_attention_heads=2, intermediate_size=8, max_position_embeddings=10)
    kind = replace(kind, vocab_size=store.vocabulary.size)
    backbone = kind.build(store.vocabulary).eval()
    model = LanguageModel(kind, backbone, kind.build_lm_head(backbone).eval(), fills_masks=True)
    sizes = np.diff(store.split("held_out").sentence_starts)
    assert sizes.min() <= 7 < sizes.max()
    assert [figure.count > 0 for figure in broken_figures(model, store)] == [True, True]
    monkeypatch.setattr("afterbert.probes.samples._SHORTEST", 4)
    texts = piece_texts(store.tokenizer)
    assert filled_sentences(model.predict, store.split("held_out"), store.vocabulary, texts, longest=9)


def test_pairs_of_pieces_know_the_text_and_chance_does_not(store):
    """A model that counts neighbours answers nearly all, one that finds all pieces alike none (ties are wrong)."""
    train, size = store.split("train"), store.vocabulary.size
    ids = train.pieces(np.arange(train.num_pieces)).astype(np.int64)
    counts = np.full((size, size), 0.01)
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    table = torch.tensor(np.log(counts / counts.sum(1, keepdims=True)))

    def counting(arrays):
        return table[arrays["input_ids"].flatten()[arrays["chosen"]]]

    order, fit = asked(store, counting)
    assert order.value > 0.9
    assert fit.value > 0.8
    assert order.beside == {"chance": 0.5}
    assert asked(store, counting) == [order, fit]
    even = asked(store, lambda arrays: torch.zeros(len(arrays["chosen"]), size))
    assert [figure.value for figure in even] == [0.0, 0.0]
