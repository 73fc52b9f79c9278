"""The same text read from its end to its start.

Source: XLNet (1906.08237), Section 2.6, "bidirectional data input pipeline". Rows are turned when they have been posed,
so a word is still a word when pieces are chosen; places keep their numbers, so attention still knows left from right.
"""

from dataclasses import replace

import numpy as np

from afterbert.base.rows import Rows, in_order
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import AskedInPlace, Posed


class BothWays(Plan):
    """All rows of a plan and then, numbered on, those of its mirrored plan, to be read backwards: the plane `backward`
    says it. Those have other keys, and so other noise."""

    def __init__(self, plan: Plan):
        self.plan, self.mirror = plan, plan.mirrored()

    def __len__(self) -> int:
        return len(self.plan) + len(self.mirror)

    def is_backward(self, numbers: np.ndarray) -> np.ndarray:
        """Returns which of these rows are read backwards, bool [B]."""
        return np.asarray(numbers) >= len(self.plan)

    def rows(self, numbers: np.ndarray) -> Rows:
        is_backward = self.is_backward(numbers)
        ahead, back = self.plan.rows(numbers[~is_backward]), self.mirror.rows(self._mirrored(numbers))
        found = [replace(back, keys=~back.keys) if rows is back else rows for rows in (ahead, back)]
        rows = in_order(found, np.argsort(np.argsort(is_backward, kind="stable")))
        return rows.with_planes(backward=np.repeat(is_backward, rows.lengths))

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        is_backward, found = self.is_backward(numbers), np.zeros(len(numbers), dtype=bool)
        found[~is_backward] = self.plan.goes_on(numbers[~is_backward])
        found[is_backward] = self.mirror.goes_on(self._mirrored(numbers))
        return found

    def _mirrored(self, numbers: np.ndarray) -> np.ndarray:
        """int64: the numbers in the mirrored plan of those that are read backwards."""
        return numbers[self.is_backward(numbers)] - len(self.plan)


def turned(posed: Posed) -> tuple[Posed, np.ndarray]:
    """Returns the posed rows with those turned that are to be read backwards, as far as arrays are made from them; and
    which rows those are, bool [B]."""
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
                question, positions=places[order], target_ids=question.target_ids[order], spans=question.spans[order]
            )
        )
    shown = rows.take(index, rows.row_starts)
    return replace(posed, shown=shown, visibility=seen, asked=tuple(asked)), is_backward
