"""Sentinels: each span becomes one piece that no other span of the row has.

Source: T5 (1910.10683) Section 3.3.1, "replace corrupted spans"; `noise_span_to_unique_sentinel`: extra ids
of the vocabulary, from the largest down, as `Vocabulary.sentinels` lists them; neighbouring spans are one
there. A row with more spans than there are sentinels keeps the spans beyond the last as ordinary text, shown
and not asked (T5's function runs into other ids).
"""

from dataclasses import dataclass, replace

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Shown
from afterbert.pretext.corruptions._edits import MarkedSpans, show_marks
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class Sentinels(MarkedSpans):
    """merges_neighbours: spans that touch become one first (T5); otherwise each has its own sentinel.

    >>> rows, chosen = Rows.of("[CLS] a b c [SEP]"), Chosen(np.array([1, 3]), np.array([0, 1]))
    >>> Sentinels()(rows, chosen, Noise(0), Vocabulary(size=20, sentinels=(9, 8))).rows.piece_ids.tolist()
    [2, 9, 11, 8, 3]
    """

    merges_neighbours: bool = True

    def check(self, vocabulary: Vocabulary, spans: int) -> None:
        remedy = "make the store by `afterbert prepare TEXTS --recipe t5`, or with --tokenizer.sentinels 100"
        if not vocabulary.sentinels:
            raise UserError(f"the tokenizer has no sentinels, which this task needs; {remedy}")
        if spans > len(vocabulary.sentinels):
            raise UserError(
                f"rows have up to {spans} spans, the tokenizer {len(vocabulary.sentinels)} sentinels; {remedy}, or "
                "choose longer spans, a lower rate or shorter rows"
            )

    def settled(self, rows: Rows, chosen: Chosen, vocabulary: Vocabulary) -> Chosen:
        self.check(vocabulary, spans=1)
        chosen = super().settled(rows, chosen, vocabulary)
        marks = chosen.marks
        is_in = marks.numbers(rows) < len(vocabulary.sentinels)
        if is_in.all():
            return chosen
        is_kept = is_in[~marks.is_gap][chosen.spans]
        spans = np.cumsum(np.diff(chosen.spans[is_kept], prepend=-1) > 0) - 1
        gaps = chosen.gaps[is_in[marks.is_gap]]
        return replace(chosen, positions=chosen.positions[is_kept], spans=spans, gaps=gaps)

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        ids = np.array(vocabulary.sentinels, dtype=np.int32)[chosen.marks.numbers(rows)]
        return show_marks(rows, chosen, ids)
