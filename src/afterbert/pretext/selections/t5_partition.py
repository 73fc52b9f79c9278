"""T5's random partition: the noise is cut into a fixed number of spans at random, the rest likewise, and they
alternate.

Source: T5 (1910.10683) Section 3.3.4; text-to-text-transfer-transformer `preprocessors.py`, `random_spans_noise_mask`
and `random_spans_helper`. Without `roll` the first piece is never chosen and the last always is, as in the release;
with it the whole pattern is turned by a random offset (the release's `random_roll`), so that every piece is equally
likely. Deviation: never more spans than pieces left over, where the release fails.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows, flags_at, ranges, starts_of
from afterbert.pretext.draws import subset
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._spans import RatedUnits, collected, share
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class T5Partition(RatedUnits):
    """Chooses a fixed number of spans, cut at random.

    >>> rows = Rows.of("[CLS] a b c d e f g h i j [SEP]")
    >>> chosen = T5Partition(rate=0.4, mean_span=2, roll=False)(rows, Noise(0))
    >>> len(chosen.positions), chosen.positions[-1], chosen.spans[-1]
    (4, np.int64(10), np.int64(1))
    """

    unit: str = "piece"
    rate: Rate = 0.15
    mean_span: Annotated[float, Field(ge=1)] = 3.0
    """The mean length of a span in units. The budget counts units and leaves at least one: exact for pieces, for words
    so many words."""
    roll: bool = True

    @property
    def is_flat(self) -> bool:
        return self.roll and self.unit == "piece"

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        return np.minimum(share(self.rate, sizes), np.maximum(np.asarray(sizes) - 1, 0))

    def num_spans(self, sizes: np.ndarray) -> np.ndarray:
        """Returns the number of spans, int64 [B], before the roll, which may cut one in two."""
        noise = self.budget(sizes)
        spans = np.maximum(np.rint(noise / self.mean_span).astype(np.int64), np.minimum(noise, 1))
        return np.minimum(spans, np.asarray(sizes) - noise)

    def most_spans(self, size: int) -> int:
        return int(self.num_spans(np.array([size]))[0]) + self.roll if self.unit == "piece" else size

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        sizes, num_noise, num_spans = units.counts, self.budget(units.counts), self.num_spans(units.counts)
        noise_begins, noise_lengths = _parts(num_noise, num_spans, rows, noise.of("noise"))
        rest_begins, rest_lengths = _parts(sizes - num_noise, num_spans, rows, noise.of("rest"))
        row = np.repeat(np.arange(len(rows)), num_spans)
        begins = rest_begins + rest_lengths + noise_begins
        index = ranges(begins, noise_lengths)
        first = starts_of(noise_lengths)[:-1]
        if self.roll:
            offset = noise.of("roll").integers(sizes, rows.keys)
            index = (index + np.repeat(offset[row], noise_lengths)) % np.repeat(sizes[row], noise_lengths)
        index += np.repeat(units.row_starts[row], noise_lengths)
        is_begin = flags_at(index[first], len(units.starts))
        index = np.sort(index) if self.roll else index
        return collected(units, index, rows, is_begin[index])


def _parts(sizes: np.ndarray, counts: np.ndarray, rows: Rows, noise: Noise) -> tuple[np.ndarray, np.ndarray]:
    """range(size) of each row cut at random into `counts` [B] parts, none empty: where they begin and how long they
    are."""
    offsets, row = starts_of(sizes)[:-1], np.repeat(np.arange(len(sizes)), counts)
    cuts = subset(noise, rows.keys, np.maximum(sizes - 1, 0), np.maximum(counts - 1, 0), offsets + 1)
    is_first = np.diff(row, prepend=-1) > 0
    begins = offsets[row]
    begins[~is_first] = cuts
    ends = (offsets + sizes)[row]
    ends[:-1][~is_first[1:]] = cuts
    return begins - offsets[row], ends - begins
