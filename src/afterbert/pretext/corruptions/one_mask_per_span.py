"""One mask per span: each span becomes a single [MASK], empty ones too, so the number of missing pieces is hidden.

Source: BART (1910.13461) Section 2.2, text infilling.
"""

from dataclasses import dataclass

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Shown
from afterbert.pretext.corruptions._edits import MarkedSpans, show_marks
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class OneMaskPerSpan(MarkedSpans):
    """merges_neighbours: spans that touch become one first; otherwise each has its own [MASK].

    >>> import numpy as np
    >>> rows, chosen = Rows.of("[CLS] a b c [SEP]"), Chosen(np.array([1, 2]), np.array([0, 0]), gaps=np.array([4]))
    >>> OneMaskPerSpan()(rows, chosen, Noise(0), Vocabulary(size=20, mask=4)).rows.piece_ids.tolist()
    [2, 4, 12, 4, 3]
    """

    def check(self, vocabulary: Vocabulary, spans: int) -> None:
        vocabulary.need("mask")

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        return show_marks(rows, chosen, vocabulary.need("mask"))
