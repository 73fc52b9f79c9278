"""Search by words: BM25, the measure that search by meaning has to beat.

Source: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", Section 3, with k1 1.2,
b 0.75 and the idf that is never negative, ln(1 + (N - n + 0.5) / (n + 0.5)). Scripts that write no spaces (Chinese,
Japanese, Thai, Lao, Khmer, Burmese) count pairs of neighbouring characters.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_K1, _B = 1.2, 0.75
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# Letters, digits and the marks that belong to them: Hindi vowel signs are no letters to `\w`.
_WORD = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[\w\u0300-\u036f\u0900-\u0dff'’])+")
#: A stretch of text in a script that writes no spaces.
UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")


def words_of(text: str) -> list[str]:
    """Returns the words of a text that are counted.

    >>> words_of("The Mill's wheel"), words_of("हिन्दी में"), words_of("北京大学")
    (['the', "mill's", 'wheel'], ['हिन्दी', 'में'], ['北京', '京大', '大学'])
    """
    return [word for word, _, _ in word_places(text.lower())]


def word_places(text: str) -> list[tuple[str, int, int]]:
    """Lists the words in small letters, each with where it begins and ends in the text.

    >>> word_places("The Mill")
    [('the', 0, 3), ('mill', 4, 8)]
    """
    found = []
    for match in _WORD.finditer(text):
        word, begin, end = match[0].lower(), match.start(), match.end()
        if UNSPACED_RUN.match(word) and len(word) > 1:
            found += [(word[at : at + 2], begin + at, begin + at + 2) for at in range(len(word) - 1)]
        else:
            found.append((word, begin, end))
    return found


@dataclass(frozen=True)
class WordIndex:
    """weights: float32 [N, V], sparse by column, of N texts and V words; vocabulary: word -> column, in their
    order."""

    weights: Any
    vocabulary: dict[str, int]

    @staticmethod
    def of(texts: Iterable[str]) -> WordIndex:
        """Counts the words of all texts."""
        from scipy import sparse  # takes a while to import, and only search wants it

        vocabulary: dict[str, int] = {}
        columns, counts, ends = [], [], [0]
        for text in texts:
            for word, count in Counter(words_of(text)).items():
                columns.append(vocabulary.setdefault(word, len(vocabulary)))
                counts.append(count)
            ends.append(len(columns))
        shape = (len(ends) - 1, len(vocabulary))
        raw = sparse.csr_array((np.array(counts, np.float32), np.array(columns, np.int64), np.array(ends)), shape)
        lengths = raw.sum(axis=1)
        mean = float(lengths.mean()) if shape[0] else 0.0
        norms = _K1 * (1 - _B + _B * lengths / max(mean, 1e-9))
        having = np.bincount(raw.indices, minlength=shape[1])
        idf = np.log(1 + (shape[0] - having + 0.5) / (having + 0.5))
        rows = np.repeat(np.arange(shape[0]), np.diff(raw.indptr))
        raw.data = (raw.data * (_K1 + 1) / (raw.data + norms[rows]) * idf[raw.indices]).astype(np.float32)
        return WordIndex(raw.tocsc(), vocabulary)

    def scores(self, query: str) -> np.ndarray:
        """Returns how well each text matches the words of the query, float32 [N]; 0 for no match."""
        known = [self.vocabulary[word] for word in words_of(query) if word in self.vocabulary]
        total = np.zeros(self.weights.shape[0], dtype=np.float32)
        for column in known:
            begin, end = self.weights.indptr[column], self.weights.indptr[column + 1]
            total[self.weights.indices[begin:end]] += self.weights.data[begin:end]
        return total

    def write(self, folder: Path) -> None:
        """Writes it into a folder, as `words.npz` and `words.json`."""
        from scipy import sparse

        sparse.save_npz(folder / "words.npz", self.weights)
        (folder / "words.json").write_text(json.dumps([*self.vocabulary], ensure_ascii=False), encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> WordIndex:
        """Reads what `write` wrote."""
        from scipy import sparse

        listed = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        return WordIndex(sparse.load_npz(folder / "words.npz"), {word: at for at, word in enumerate(listed)})
