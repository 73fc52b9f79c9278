"""A store language by language: its documents in one language as a split of their own, and what each comes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from afterbert.base.rows import ranges, starts_of
from afterbert.text.pieces.spelling import Spellings
from afterbert.text.token_store.store import SPLITS, Split, Store


class LanguageSplit(Split):
    """The documents of a split that are in one language, one behind the other. code: into `whole.languages`; language:
    its name."""

    def __init__(self, whole: Split, code: int, language: str):
        self._whole, self._code, self.name = whole, code, whole.name
        documents = np.flatnonzero(whole.languages == code)
        self.languages, self._begins = whole.languages[documents], whole.document_starts[documents]
        self.document_starts = starts_of(whole.document_starts[documents + 1] - self._begins)
        self.num_pieces, self.num_documents = int(self.document_starts[-1]), len(documents)
        self.plane_names, self.plane_widths = whole.plane_names, whole.plane_widths
        self.fingerprint, self.told_languages = f"{whole.fingerprint}/{language}", whole.told_languages

    @cached_property
    def sentence_starts(self) -> np.ndarray:
        ends = self._begins + np.diff(self.document_starts)
        first, last = (np.searchsorted(self._whole.sentence_starts, edge) for edge in (self._begins, ends))
        moved = self._whole.sentence_starts[ranges(first, last - first)]
        moved = moved - np.repeat(self._begins - self.document_starts[:-1], last - first)
        return np.append(moved, self.num_pieces)

    @property
    def pairs(self) -> tuple[Split, np.ndarray]:
        """Those of the whole split of whose two languages this one has less text."""
        whole, firsts = self._whole.pairs
        sizes = np.bincount(whole.languages, np.diff(whole.document_starts), minlength=256)
        sides = np.stack((whole.languages[firsts], whole.languages[firsts + 1]))
        smaller = np.where(sizes[sides[0]] < sizes[sides[1]], sides[0], sides[1])
        return whole, firsts[smaller == self._code]

    def pieces(self, index: np.ndarray) -> np.ndarray:
        return self._whole.pieces(self._there(index))

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        return self._whole.plane(name, self._there(index))

    def _there(self, index: np.ndarray) -> np.ndarray:
        """int64 [N]: these offsets [N] in the whole split."""
        document = np.searchsorted(self.document_starts, index, side="right") - 1
        return index + (self._begins - self.document_starts[:-1])[document]


def by_language(split: Split, languages: tuple[str, ...]) -> dict[str, Split]:
    """Returns language -> its part of the split, without languages that have none."""
    parts = {name: LanguageSplit(split, code, name) for code, name in enumerate(languages)}
    return {name: part for name, part in parts.items() if part.num_pieces}


@dataclass(frozen=True)
class LanguageFigures:
    """Counts for the texts in one language, in both splits of a store: documents, pieces, words (0 without that plane),
    bytes that the pieces stand for, pieces that the tokenizer does not know."""

    documents: int
    pieces: int
    words: int
    bytes: int
    unknown: int

    def __str__(self) -> str:
        words = f"{self.pieces / self.words:.2f} pieces a word, " if self.words else ""
        rates = f"{words}{self.bytes / max(1, self.pieces):.2f} bytes a piece"
        return f"{self.documents:,} documents, {rates}, {self.unknown / max(1, self.pieces):.2%} unknown"


def figures_by_language(store: Store) -> Mapping[str, LanguageFigures]:
    """Returns the store's figures for each language."""
    size = len(store.languages)
    counts = np.zeros((5, size), dtype=np.int64)
    sizes, unk = Spellings.of(store.tokenizer).sizes, store.vocabulary.unk
    for split in map(store.split, SPLITS):
        counts[0] += np.bincount(split.languages, minlength=size)
        for index in map(np.array, split.blocks()):
            ids = split.pieces(index)
            code = split.languages[np.searchsorted(split.document_starts, index, side="right") - 1]
            starts = split.plane("word_start", index) if "word_start" in split.plane_names else np.zeros_like(ids)
            for row, weights in enumerate((np.ones_like(ids), starts, sizes[ids], ids == unk), start=1):
                counts[row] += np.bincount(code, weights, minlength=size).astype(np.int64)
    return {name: LanguageFigures(*column) for name, column in zip(store.languages, counts.T.tolist()) if column[0]}
