"""Minimal pairs from the text itself: held-out sentences against themselves with one thing broken.

For any language, without labels. Two neighbouring words change places (word order; in the spirit of Gulordava et al.
2018, 1803.11138, who ask for grammar without meaning), or one word gives way to another that is about as frequent
(fit; frequency alone must not give the answer away). Both are answered right half of the time by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.noise import Noise
from afterbert.base.numbers import Count
from afterbert.base.rows import ranges
from afterbert.probes.figure import Figure
from afterbert.probes.minimal_pairs import MinimalPairsProbe, Preferences
from afterbert.probes.readings import TextPieces
from afterbert.text.pieces.frame import Frame
from afterbert.text.pieces.spelling import piece_texts
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.token_store.store import Split, Store

_SEED = 20_181_113
# So many ranks away, at most, is "about as frequent".
_NEAR = 3

Break = Callable[["_Sentence", Noise], TextPieces | None]


@dataclass(frozen=True)
class BrokenSentences:
    """Compares held-out sentences with a broken copy of themselves."""

    count: Count = 100
    """How many sentences are asked, spread over the split."""
    shortest: Annotated[int, Field(ge=4)] = 7
    """The fewest pieces of a sentence."""
    longest: Annotated[int, Field(ge=4)] = 20
    """The most pieces of a sentence."""

    def __call__(self, probe: MinimalPairsProbe, store: Store) -> list[Figure]:
        """How often the model finds the whole sentence likelier; no figures where the held-out split has no sentence to
        break."""
        are_words, frame, vocabulary = is_word(store.tokenizer), Frame.of(store.tokenizer), store.vocabulary
        sentences = self._sentences(store.split("held_out"), are_words)
        others = _Neighbours.count(store.split("train"), are_words)
        figures = []
        ways: tuple[tuple[str, Break], ...] = (
            ("a sentence or the same with two words swapped", _swapped),
            ("a sentence or the same with a word of like frequency in it", others.replaced),
        )
        found: dict[str, float] = {}
        for number, (name, broken) in enumerate(ways):
            noise = Noise(_SEED).of(f"break{number}")
            made = [(one, pieces) for one in sentences if (pieces := broken(one, noise)) is not None]
            if not made:
                continue
            asked = [one for one, _ in made if one.name not in found]
            likely = probe.of_pieces([one.pieces for one in asked], frame, vocabulary)
            found |= dict(zip([one.name for one in asked], likely))
            worse = probe.of_pieces([pieces for _, pieces in made], frame, vocabulary)
            margins = np.array([found[one.name] for one, _ in made]) - worse
            figures.append(Figure(name, Preferences.of(margins).accuracy, {"chance": 0.5}, len(made)))
        return figures

    def _sentences(self, split: Split, is_word: np.ndarray) -> list[_Sentence]:
        starts = split.sentence_starts
        sizes = np.diff(starts)
        fitting = np.flatnonzero((sizes >= self.shortest) & (sizes <= self.longest))
        if len(fitting) == 0:
            return []
        taken = fitting[np.unique(np.linspace(0, len(fitting) - 1, self.count).astype(int))]
        found = []
        for start, size in zip(starts[taken], sizes[taken]):
            index = ranges(np.array([start]), np.array([size]))
            ids = split.pieces(index).astype(np.int64)
            words = np.cumsum(split.plane("word_start", index).astype(np.int64))
            found.append(_Sentence(str(start), TextPieces(ids, words - words[0]), is_word))
        return found


def is_word(tokenizer: Tokenizer) -> np.ndarray:
    """bool [V]: which pieces may be swapped and replaced: letters, not punctuation."""
    found = np.array([text.strip().isalpha() for text in piece_texts(tokenizer)], dtype=bool)
    return found & ~tokenizer.vocabulary.is_special


@dataclass(frozen=True)
class _Sentence:
    name: str
    pieces: TextPieces
    is_word: np.ndarray

    def stretches(self) -> list[np.ndarray]:
        """The places of each word."""
        change = np.flatnonzero(np.diff(self.pieces.words)) + 1
        return np.split(np.arange(len(self.pieces.ids)), change)

    def drawn(self, among: Sequence[int], noise: Noise) -> int:
        """Draws one of these numbers, always the same one for the same sentence."""
        return among[int(noise.integers(len(among), np.array([int(self.name)]), np.array([0]))[0])]


def _swapped(sentence: _Sentence, noise: Noise) -> TextPieces | None:
    """Two neighbouring words changed; never the first, which looks different at the beginning."""
    words, ids = sentence.stretches(), sentence.pieces.ids
    are_words = [bool(sentence.is_word[ids[places]].all()) for places in words]
    fitting = [
        n
        for n in range(1, len(words) - 1)
        if are_words[n] and are_words[n + 1] and ids[words[n]].tolist() != ids[words[n + 1]].tolist()
    ]
    if not fitting:
        return None
    at = sentence.drawn(fitting, noise)
    swapped = [*words[:at], words[at + 1], words[at], *words[at + 2 :]]
    return TextPieces(ids[np.concatenate(swapped)], np.repeat(np.arange(len(words)), [*map(len, swapped)]))


@dataclass(frozen=True)
class _Neighbours:
    """TextPieces that are words by themselves, the most frequent first [K], and each piece's place in that list [V],
    -1 for others."""

    ordered: np.ndarray
    rank: np.ndarray

    @staticmethod
    def count(split: Split, is_word: np.ndarray, *, most: int = 2_000_000) -> _Neighbours:
        index = np.arange(min(most, split.num_pieces))
        ids = split.pieces(index).astype(np.int64)
        starts = split.plane("word_start", index).astype(bool)
        is_single = starts & np.append(starts[1:], False) & is_word[ids]
        counts = np.bincount(ids[is_single], minlength=len(is_word))
        ordered = np.lexsort((np.arange(len(counts)), -counts))
        ordered = ordered[counts[ordered] > 0]
        rank = np.full(len(is_word), -1, dtype=np.int64)
        rank[ordered] = np.arange(len(ordered))
        return _Neighbours(ordered, rank)

    def replaced(self, sentence: _Sentence, noise: Noise) -> TextPieces | None:
        """A word of a single piece (not the first) replaced by one a few ranks away."""
        ids = sentence.pieces.ids
        fitting = [
            int(places[0]) for places in sentence.stretches()[1:] if len(places) == 1 and self.rank[ids[places[0]]] >= 0
        ]
        if not fitting or len(self.ordered) < 2:
            return None
        place = sentence.drawn(fitting, noise)
        mine = int(self.rank[ids[place]])
        near = [r for r in range(mine - _NEAR, mine + _NEAR + 1) if r != mine and 0 <= r < len(self.ordered)]
        changed = ids.copy()
        changed[place] = self.ordered[sentence.drawn(near, noise.of("word"))]
        return TextPieces(changed, sentence.pieces.words)
