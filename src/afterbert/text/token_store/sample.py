"""The sample of the texts from which a tokenizer is learned; it follows from their contents alone."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import cycle

import xxhash

from afterbert.base.mixing.exponent import Exponent

_SAMPLE_SEED = 1


class Sample:
    """The different texts with the smallest keys, up to the one that fills `most_bytes`; so a sample of parts
    is the sample of the whole.

    >>> sample = Sample(most_bytes=3)
    >>> for key, text in [(7, "ef"), (1, "ab"), (9, "gh"), (5, "cd"), (5, "cd")]:
    ...     sample.offer(key, text)
    >>> sample.texts()
    ['ab', 'cd']
    """

    def __init__(self, most_bytes: int, limit: int = 1 << 64):
        self._most, self.limit = most_bytes, limit
        self._heap: list[tuple[int, int, str]] = []
        self._keys: set[int] = set()
        self._bytes = 0

    def offer(self, key: int, text: str) -> None:
        """Takes the text if it belongs to the sample, as far as is known."""
        if key >= self.limit or key in self._keys or self._most <= 0:
            return
        size = len(text.encode())
        heapq.heappush(self._heap, (-key, size, text))
        self._keys.add(key)
        self._bytes += size
        while self._bytes - self._heap[0][1] >= self._most:
            negative, size, _ = heapq.heappop(self._heap)
            self.limit = -negative
            self._keys.remove(self.limit)
            self._bytes -= size

    def join(self, other: Sample) -> None:
        """Takes what another sample holds."""
        for key, text in other.pairs():
            self.offer(key, text)

    def pairs(self) -> list[tuple[int, str]]:
        """Returns (key, text) pairs, by rising key."""
        return [(-key, text) for key, _, text in sorted(self._heap, reverse=True)]

    def texts(self) -> list[str]:
        """Returns the texts, by rising key."""
        return [text for _, text in self.pairs()]


class LanguageSamples:
    """A sample to learn a tokenizer from: of all texts alike, or, with a `smoothing` S, of each language as much as its
    share of all bytes to the power S; of one that has less, its texts come again. limits: language -> highest key."""

    def __init__(self, most_bytes: int, smoothing: float | None, limits: Mapping[str, int] | None = None):
        self._most, self._smoothing, self._limits = most_bytes, smoothing, limits or {}
        self._samples: dict[str, Sample] = {}
        self._seen: Counter[str] = Counter()

    def limits(self) -> dict[str, int]:
        """Returns for each language the highest key that can still be of use."""
        return {language: sample.limit for language, sample in self._samples.items()}

    def offer(self, language: str, raw: bytes, text: str) -> None:
        """Takes a text, and its UTF-8 bytes, if it belongs to the sample as far as is known."""
        language = language if self._smoothing is not None else ""
        self._seen[language] += len(raw)
        self._of(language).offer(xxhash.xxh3_64_intdigest(raw, _SAMPLE_SEED), text)

    def join(self, other: LanguageSamples) -> None:
        """Takes what the sample of another part holds."""
        self._seen += other._seen
        for language, sample in other._samples.items():
            self._of(language).join(sample)

    def texts(self) -> Iterator[str]:
        """Yields the texts of the sample, language by language."""
        if self._smoothing is None:
            yield from (text for sample in self._samples.values() for text in sample.texts())
            return
        shares = Exponent(self._smoothing).shares(self._seen)
        for language, sample in sorted(self._samples.items()):
            left = shares[language] * min(self._most, self._seen.total())
            for text in cycle(sample.texts()):
                yield text
                left -= len(text.encode())
                if left <= 0:
                    break

    def _of(self, language: str) -> Sample:
        return self._samples.setdefault(language, Sample(self._most, self._limits.get(language, 1 << 64)))
