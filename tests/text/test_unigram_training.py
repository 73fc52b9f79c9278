"""The lattice against all cuts written out; the learned pieces against those of the tokenizers library."""

import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from afterbert.base.noise import mix
from afterbert.text.tokenizers._lattice import CandidatePieces, Lattice, WordCounts
from afterbert.text.tokenizers._unigram_training import learn
from afterbert.text.tokenizers.unigram import Unigram

REAL = Path(__file__).parents[3] / "shared" / "data" / "pretrain_en" / "novels.jsonl"
SCORES = {"a": -2.0, "b": -2.5, "ab": -2.2, "ba": -3.0, "abab": -4.9, "c": -1.0, "cab": -3.1}


def key(name):
    """The key of a piece: a hash that goes on from letter to letter."""
    made = mix(np.uint64(ord(name[0])))
    for letter in name[1:]:
        made = mix(made ^ (np.uint64(ord(letter)) << np.uint64(32)))
    return made[0]


def cuts(word):
    """Every way to cut a word into pieces, as lists."""
    if not word:
        return [[]]
    return [[word[:n], *rest] for n in range(1, len(word) + 1) if word[:n] in SCORES for rest in cuts(word[n:])]


@pytest.fixture
def lattice():
    words = ["ababc", "cab", "c", "bbaab"]
    keys = np.array([key(name) for name in SCORES])
    order = np.argsort(keys)
    names = np.array(list(SCORES))[order]
    lengths = np.array([len(name) for name in names])
    pieces = CandidatePieces(keys[order], np.zeros(len(names), int), lengths, np.array([SCORES[n] for n in names]))
    counts = np.array([3.0, 1.0, 7.0, 2.0])
    return words, counts, names.tolist(), pieces, Lattice.of(WordCounts.of(words, counts), pieces)


def test_expected_counts_are_those_of_all_cuts(lattice):
    words, counts, names, pieces, made = lattice
    wanted = dict.fromkeys(names, 0.0)
    for word, count in zip(words, counts):
        chances = {tuple(cut): np.exp(sum(SCORES[p] for p in cut)) for cut in cuts(word)}
        for cut, chance in chances.items():
            for piece in cut:
                wanted[piece] += count * chance / sum(chances.values())
    found = made.expected(pieces.scores, counts)
    np.testing.assert_allclose(found, [wanted[name] for name in names], rtol=1e-12)


def test_best_cut_is_the_best_of_all(lattice):
    words, _, names, pieces, made = lattice
    wanted = [max(cuts(word), key=lambda cut: sum(SCORES[p] for p in cut)) for word in words]
    found = [names[piece] for piece in made.piece[made.best(pieces.scores)]]
    assert sorted(found) == sorted(piece for cut in wanted for piece in cut)


def test_restricted_is_as_made_from_fewer(lattice):
    words, counts, names, pieces, made = lattice
    keep = np.array([name != "ab" for name in names])
    fewer = pieces.take(np.flatnonzero(keep))
    anew = Lattice.of(WordCounts.of(words, counts), fewer)
    np.testing.assert_allclose(
        made.restricted(keep).expected(fewer.scores, counts), anew.expected(fewer.scores, counts)
    )


def test_letters_stay_and_the_size_is_kept():
    words = WordCounts.of(["low", "lower", "lowest", "newer"], np.array([50, 20, 9, 30]))
    alphabet = sorted("lowerstnz")
    found = learn(words, alphabet, size=12, min_frequency=2)
    names = [piece for piece, _ in found]
    assert len(names) == 12
    assert set(alphabet) <= set(names)
    assert "low" in names
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)


def test_unknown_characters_do_not_stop_it():
    words = WordCounts.of(["lo☃w", "☃"], np.array([50, 20]))
    assert dict(learn(words, ["l", "o", "w"], size=8, min_frequency=2)).keys() >= {"l", "o", "w"}


@pytest.mark.skipif(not REAL.exists(), reason="needs the shared data")
def test_as_good_as_the_librarys_trainer():
    texts = [json.loads(line)["text"] for line in REAL.read_text(encoding="utf-8").splitlines()[:40]]
    ours = Unigram(vocab_size=2000).make(texts[:30], corpus_bytes=9).plain
    theirs = tokenizers.Tokenizer(models.Unigram())
    theirs.normalizer = ours.normalizer
    theirs.pre_tokenizer = pre_tokenizers.Metaspace()
    theirs.train_from_iterator(
        texts[:30],
        trainers.UnigramTrainer(vocab_size=2000, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False),
    )
    sizes = [sum(len(one.encode(text, add_special_tokens=False).ids) for text in texts[30:]) for one in (ours, theirs)]
    assert sizes[0] < 1.02 * sizes[1]
