"""The same text read from its end to its start.

Source: XLNet (1906.08237), Section 2.6, "bidirectional data input pipeline". Rows are turned when they have been
posed, so a word is still a word when pieces are chosen; places keep their numbers, so attention still knows left
from right. Deviation: special pieces turn with the row, the release keeps them at the end of what is read.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from afterbert.base.rows import Rows
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import AskedInPlace, Posed


class BothWays(Plan):
    """All rows of a plan and then, numbered on from the last row to the first, the same once more, to be read
    backwards: the plane `backward` says it. Those have other keys, and so other noise."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def __len__(self) -> int:
        return 2 * len(self.plan)

    def is_backward(self, numbers: np.ndarray) -> np.ndarray:
        """bool [B]."""
        return np.asarray(numbers) >= len(self.plan)

    def rows(self, numbers: np.ndarray) -> Rows:
        rows, is_backward = self.plan.rows(self._forward(numbers)), self.is_backward(numbers)
        rows = replace(rows, keys=np.where(is_backward, ~rows.keys, rows.keys))
        return rows.with_planes(backward=np.repeat(is_backward, rows.lengths))

    def labels(self, numbers: np.ndarray) -> np.ndarray | None:
        return self.plan.labels(self._forward(numbers))

    def _forward(self, numbers: np.ndarray) -> np.ndarray:
        numbers = np.asarray(numbers)
        return np.where(self.is_backward(numbers), len(self) - 1 - numbers, numbers)


def turned(posed: Posed) -> tuple[Posed, np.ndarray]:
    """The posed rows with those turned that are to be read backwards, as far as arrays are made from them; and
    which those are, bool [B]."""
    rows, is_backward = posed.shown, np.zeros(len(posed.shown), dtype=bool)
    if "backward" not in rows.planes:
        return posed, is_backward
    is_backward[rows.row_of[rows.planes["backward"]]] = True
    first, last = rows.row_starts[:-1][rows.row_of], rows.row_starts[1:][rows.row_of] - 1
    here = np.arange(rows.num_pieces)
    index = np.where(is_backward[rows.row_of], first + last - here, here)  # its own inverse
    seen = posed.visibility
    seen = replace(
        seen,
        rank=None if seen.rank is None else seen.rank[index],
        documents=None if seen.documents is None else seen.documents[index],
    )
    asked = []
    for question in posed.asked:
        assert isinstance(question, AskedInPlace)
        places = index[question.positions]
        order = np.argsort(places)
        asked.append(
            replace(
                question,
                positions=places[order],
                target_ids=question.target_ids[order],
                spans=question.spans[order],
            )
        )
    shown = rows.take(index, rows.row_starts)
    return replace(posed, shown=shown, visibility=seen, asked=tuple(asked)), is_backward
