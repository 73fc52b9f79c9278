"""Rows of several stores in one plan, as often as a mixing law says: a pure function of seed and number, like every
plan.

An epoch has as many rows as all stores have together. A store whose share asks for more than it has comes round
again, with other noise; of one that is asked for less, the first rows of the view are read, whose documents stand in
an order drawn for the view. (Where one view comes again and again, these are the same each time.)
"""

from collections.abc import Callable, Mapping

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.mixing import allotted
from afterbert.base.noise import mix
from afterbert.base.rows import Rows, in_order, starts_of
from afterbert.objectives.mixture import MixedPlan
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.mixture import JoinedSplit
from afterbert.text.token_store.store import Split


class Blend(Plan):
    """plans: store -> its plan; counts: store -> rows that an epoch holds of it. Rows are numbered store by store."""

    def __init__(self, plans: Mapping[str, Plan], counts: Mapping[str, int]):
        self.plans, self.counts = dict(plans), dict(counts)
        self._starts = starts_of(np.array(list(counts.values()), dtype=np.int64))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def sources(self, numbers: np.ndarray) -> np.ndarray:
        """Returns for each of these rows the store, by its number, from which it comes, int64 [B]."""
        return np.searchsorted(self._starts, numbers, side="right") - 1

    def rows(self, numbers: np.ndarray) -> Rows:
        found: list[Rows] = []
        for plan, own, turn in self._owned(numbers):
            rows = plan.rows(own)
            keys = np.where(turn > 0, mix(rows.keys ^ (turn.astype(np.uint64) << np.uint64(32))), rows.keys)
            found.append(Rows(rows.piece_ids, rows.row_starts, keys, rows.planes))
        return in_order(found, np.argsort(self._order(numbers), kind="stable"))

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        found = [plan.goes_on(own) for plan, own, _ in self._owned(numbers)]
        return np.concatenate(found)[np.argsort(self._order(numbers), kind="stable")] if found else numbers > 0

    def labels(self, numbers: np.ndarray) -> np.ndarray | None:
        found = [plan.labels(own) for plan, own, _ in self._owned(numbers)]
        if any(labels is None for labels in found):
            return None
        return np.concatenate([labels for labels in found if labels is not None])[np.argsort(self._order(numbers))]

    def _order(self, numbers: np.ndarray) -> np.ndarray:
        """The rows' places, store by store."""
        return np.argsort(self.sources(numbers), kind="stable")

    def _owned(self, numbers: np.ndarray) -> list[tuple[Plan, np.ndarray, np.ndarray]]:
        """Of each store that these rows come from: its plan, the rows' numbers in it, and the turns they are in."""
        numbers = np.asarray(numbers, dtype=np.int64)
        sources = self.sources(numbers)
        found: list[tuple[Plan, np.ndarray, np.ndarray]] = []
        for place, plan in enumerate(self.plans.values()):
            own = numbers[sources == place] - self._starts[place]
            if len(own):
                found.append((plan, own % len(plan), own // len(plan)))
        return found


def blended(split: Split, plan_of: Callable[[Split], Plan], *, view: int, epochs: float | None) -> Plan:
    """Returns the plan of one view of a split; for a mixture of stores, by its law. epochs: of the whole run; None if
    they are not counted. Raises UserError then for a law that changes along the run."""
    if not isinstance(split, JoinedSplit):
        return plan_of(split)
    if split.mixing.moves and epochs is None:
        raise UserError(
            "the shares of this mixing change from epoch to epoch, so the run must count epochs; write --budget "
            "3epochs and --training.views null, or take another mixing"
        )
    progress = min(1.0, view / epochs) if epochs else 0.0
    return _blend(split, {name: plan_of(part) for name, part in split.parts.items()}, progress)


def _blend(split: JoinedSplit, plans: Mapping[str, Plan], progress: float) -> Plan:
    for name, plan in plans.items():
        if not any(map(len, plan.plans.values() if isinstance(plan, MixedPlan) else [plan])):
            raise UserError(f"{name} has no rows to train on at this length; leave it out, or shorten the rows")
    first = next(iter(plans.values()), None)
    if isinstance(first, MixedPlan):
        members: dict[str, dict[str, Plan]] = {member: {} for member in first.plans}
        for name, plan in plans.items():
            assert isinstance(plan, MixedPlan)
            for member, own in plan.plans.items():
                members[member] |= {name: own} if len(own) else {}
        return MixedPlan({member: _blend(split, own, progress) for member, own in members.items()})
    sizes = {name: len(plan) for name, plan in plans.items()}
    counts = allotted(split.mixing.shares(sizes, progress=progress) if sizes else {}, sum(sizes.values()))
    return Blend(plans, counts)
