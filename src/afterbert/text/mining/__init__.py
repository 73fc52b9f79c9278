"""Phrases mined from a corpus: runs of words that stand together far more often than chance has it, in many
different surroundings. They are collocations, not noun phrases: nothing here knows grammar.

Sources: mutual information as a measure of association, Church and Hanks 1990 ("Word Association Norms, Mutual
Information, and Lexicography"); entropy of the neighbours as a sign of a border, Jin and Tanaka-Ishii 2006
("Unsupervised Segmentation of Chinese Text by Use of Branching Entropy"); both together to find words, Luo and
Sun 2003 ("Two-Character Chinese Word Extraction Based on Hybrid of Internal and Contextual Measures"). With counts
c, and N words in all, for a run of words g:

    cohesion(g) = min over cuts g = a b  of  log2( c(g) N / (c(a) c(b)) )         in bits
    freedom(g)  = min over both sides    of  - sum over neighbours w of p(w) log2 p(w)   in bits
    score(g)    = cohesion(g) * freedom(g)

A neighbour beyond a punctuation mark, a line end or the end of a text counts as one that occurs only once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import xxhash
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.text.files.documents import Document
from afterbert.text.mining.runs import cohesion, freedom, most_usual, runs_of
from afterbert.text.mining.stream import WordStream, stream_of
from afterbert.text.planes.word_start import CHARACTERS
from afterbert.text.token_store.sample import Sample

# The first line of a list that was mined, by which it is known again.
HEADER = "text\ttype\tscore\tcount\tcohesion\tfreedom\n"
_SAMPLE_SEED = 2


@dataclass(frozen=True)
class Mined:
    """A phrase as it is mostly written, and its figures (cohesion and freedom in bits)."""

    text: str
    score: float
    count: int
    cohesion: float
    freedom: float


@dataclass(frozen=True)
class Mining:
    """Finds phrases of 2 to max_words words (a mark inside counts as one)."""

    max_words: Annotated[int, Field(ge=2, le=8)] = 4
    min_count: Annotated[int, Field(ge=2)] = 5
    """The fewest occurrences of a phrase."""
    min_cohesion: float = 5.0
    """The least cohesion of a phrase, in bits."""
    min_freedom: float = 1.5
    """The least freedom of a phrase, in bits."""
    most: Annotated[int, Field(ge=1)] = 100_000
    """How many phrases are kept at most."""
    case: Literal["ignored", "kept"] = "ignored"
    """`ignored` counts `The Times` and `the times` as one."""
    chinese: Literal["jieba", "characters"] | None = None
    """How Chinese is read, as in the plane word_start."""
    sample_bytes: Annotated[int, Field(ge=1)] = 50_000_000
    """From larger corpora a sample of documents is taken by their content, so memory is bounded (some 25 times as
    much)."""

    def __call__(self, documents: Iterable[Document]) -> list[Mined]:
        """The phrases, best first; the same for the same documents in any order. Raises UserError if there are none."""
        texts, languages = self._sample(documents)
        plane = replace(CHARACTERS, chinese=self.chinese)
        stream = stream_of(texts, languages, plane, keeps_case=self.case == "kept")
        found = self._phrases(stream)
        if not found:
            raise UserError(
                f"no run of words reaches a count of {self.min_count}, {self.min_cohesion:g} bits of cohesion and "
                f"{self.min_freedom:g} bits of freedom; give more text or ask for less"
            )
        return found

    def _sample(self, documents: Iterable[Document]) -> tuple[list[str], list[str | None]]:
        """Different texts of about sample_bytes, in the order of a hash of their content."""
        sample = Sample(self.sample_bytes)
        languages: dict[int, str] = {}
        for document in documents:
            key = xxhash.xxh3_64_intdigest(document.text.encode(), _SAMPLE_SEED)
            sample.offer(key, document.text)
            if document.language and key < sample.limit:
                languages[key] = document.language
        pairs = sample.pairs()
        return [text for _, text in pairs], [languages.get(key) for key, _ in pairs]

    def _phrases(self, stream: WordStream) -> list[Mined]:
        num_words = int((stream.is_word | stream.is_tie).sum())
        levels = runs_of(stream, max_words=self.max_words, min_count=self.min_count)
        columns = []
        for runs in levels[1:]:
            firm = cohesion(levels, runs.size, num_words)
            begin, end = runs.first, runs.first + runs.size - 1
            is_phrase = stream.is_word[begin] & stream.is_word[end] & (firm >= self.min_cohesion)
            free = freedom(runs, is_phrase, stream)
            kept = np.flatnonzero(is_phrase & (free >= self.min_freedom))
            sizes = np.full(len(kept), runs.size)
            columns.append((sizes, kept, runs.counts[kept], firm[kept], free[kept], runs.first[kept]))
        sizes, kept, counts, firm, free, first = map(np.concatenate, zip(*columns))
        best = np.lexsort((first, -counts, -firm * free))[: self.most]
        place = np.zeros(len(best), dtype=np.int64)
        for runs in levels[1:]:
            here = np.flatnonzero(sizes[best] == runs.size)
            place[here] = most_usual(runs, kept[best[here]], stream)
        texts = map(stream.text, place.tolist(), sizes[best].tolist())
        figures = zip(*(column[best].tolist() for column in (firm * free, counts, firm, free)))
        return [Mined(text, *figure) for text, figure in zip(texts, figures)]


def as_table(found: Sequence[Mined]) -> str:
    """Returns the phrases as a list that the planes phrase and entity read: text, type (`mined`), then the figures."""
    lines = (f"{m.text}\tmined\t{m.score:.2f}\t{m.count}\t{m.cohesion:.2f}\t{m.freedom:.2f}\n" for m in found)
    return HEADER + "".join(lines)
