"""Several objectives for one model: each row draws one of them by weight, or every row is asked all of them, or they
follow one another in the course of the run.

Sources: the mixtures of pre-training tasks of UniLM (1905.03197, Section 2.4) and XLM (1901.07291, Section 3.3), of
unsupervised and supervised tasks of T5 (1910.10683, Section 3.5). Those draw one task for a whole batch; here each row
draws its own, which has the same expectation, less variance, and does not depend on how rows fall into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, cast

import numpy as np
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch, Objective, PretextTask
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split

if TYPE_CHECKING:
    from afterbert.models import Architecture
    from afterbert.objectives.modules import ObjectiveModule
    from afterbert.objectives.modules.mixture import MixtureModule

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """One task of a mixture."""

    name: str
    """A word for it, with which its parts of the score begin."""
    objective: Objective
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Its share: of the rows where each row draws a task, of the loss where all are asked, of the run where they take
    turns."""


@dataclass(frozen=True)
class Mixture(Objective):
    """Several objectives on one backbone. A row that several members may draw is the same text where their pairings cut
    alike. All members train one backbone; language-model heads are shared too, other heads are each member's own."""

    members: tuple[Member, ...]
    """The tasks; parts of the score are called `name.part`."""
    how: Literal["drawn_by_row", "summed", "in_turn"] = "drawn_by_row"
    """Each row draws a member by weight, or every member asks all rows, or the members take turns in their order."""

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise UserError("a mixture needs at least two members; with one, write its objective alone")
        courses = [stages for member in self.members for stages in member.objective.course()]
        if self.how == "in_turn" and not all(stages.in_training for stages in courses):
            raise UserError(
                "a member that goes through stages itself cannot take turns; write each of its stages as a member"
            )
        names = [member.name for member in self.members]
        for name in names:
            if not name.isidentifier() or names.count(name) > 1:
                raise UserError(
                    f"the mixture's members are called {', '.join(names)}; give each another plain word (letters, "
                    "digits, _)"
                )

    @property
    def shares(self) -> dict[str, float]:
        """Name -> what its parts' loss weights are multiplied with: its share of the rows where rows are drawn."""
        if self.how == "drawn_by_row":
            total = sum(member.weight for member in self.members)
            return {member.name: member.weight / total for member in self.members}
        return {member.name: member.weight if self.how == "summed" else 1.0 for member in self.members}

    def pretexts(self) -> Mapping[str, PretextTask]:
        return self._of_members(lambda objective: objective.pretexts())

    def pictured(self) -> Mapping[str, PretextTask | str]:
        return self._of_members(lambda objective: objective.pictured())

    def _of_members(self, tasks: Callable[[Objective], Mapping[str, T]]) -> dict[str, T]:
        return {
            ".".join(filter(None, (member.name, name))): task
            for member in self.members
            for name, task in tasks(member.objective).items()
        }

    def course(self) -> tuple[Stages, ...]:
        inner = dict.fromkeys(stages for member in self.members for stages in member.objective.course())
        if self.how != "in_turn":
            return tuple(inner)
        names, shares = zip(*((member.name, member.weight) for member in self.members))
        return (Stages("a mixture in_turn", names, shares), *inner)

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> MixedPlan:
        return MixedPlan(
            {
                member.name: member.objective.plan(split, length=length, vocabulary=vocabulary, noise=noise)
                for member in self.members
            }
        )

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        assert isinstance(plan, MixedPlan)
        arrays: dict[str, np.ndarray] = {}
        counts: dict[str, int] = {}
        num_tokens, keys, objectives = 0, [], {member.name: member.objective for member in self.members}
        for (name, own), is_mine in zip(plan.plans.items(), self._drawn(plan, numbers, noise)):
            if not is_mine.any():
                continue
            mine = numbers[is_mine] % len(own)
            batch = objectives[name].pose(own, mine, noise, vocabulary=vocabulary, length=length)
            arrays |= {f"{name}/{key}": array for key, array in batch.arrays.items()}
            counts |= {f"{name}.{part}": count for part, count in batch.counts.items()}
            num_tokens += batch.num_tokens
            keys.append(batch.row_keys)
        return Batch(arrays, counts, num_tokens, np.concatenate(keys))

    def _drawn(self, plan: MixedPlan, numbers: np.ndarray, noise: Noise) -> list[np.ndarray]:
        """For each member of the plan, bool [B]: whether it asks these rows."""
        if self.how == "summed":
            return [np.ones(len(numbers), dtype=bool)] * len(plan.plans)
        if self.how == "in_turn":
            turn = self.course()[0].at(noise.progress)
            return [np.full(len(numbers), number == turn) for number in range(len(plan.plans))]
        edges = np.cumsum(list(self.shares.values()))[:-1]
        member = np.searchsorted(edges, noise.of("member").uniform(numbers), side="right")
        return [member == number for number in range(len(plan.plans))]

    def flops_beside(self, architecture: Architecture, vocab_size: int, length: int) -> float:
        each = [member.objective.flops_beside(architecture, vocab_size, length) for member in self.members]
        if self.how == "summed":  # every member reads all rows, in a pass of its own
            return sum(each) + (len(each) - 1) * architecture.flops_per_token(vocab_size, length)
        return float(np.average(each, weights=[member.weight for member in self.members]))

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.modules import with_ponder_cost
        from afterbert.objectives.modules.mixture import MixtureModule

        backbone = architecture.build(vocabulary)
        heads = {one.name: one.objective.build_on(backbone, architecture, vocabulary) for one in self.members}
        return MixtureModule(self, backbone, {name: with_ponder_cost(module) for name, module in heads.items()})

    def check(self, architecture: Architecture) -> None:
        for member in self.members:
            member.objective.check(architecture)

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:
        if architecture.num_remembered:
            raise UserError(
                "rows of a mixture go on from no other, so there is nothing to remember; set model.mem_len to 0"
            )
        for member in self.members:
            member.objective.check_feed(architecture, order=order, views=views)

    def check_shards(self) -> None:
        for member in self.members:
            member.objective.check_shards()

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        members = cast("MixtureModule", module).members
        for member in self.members:
            member.objective.begin(cast("ObjectiveModule", members[member.name]), split)


class MixedPlan(Plan):
    """Each member's plan; a number means row `number % len` of each, so shorter plans come round again."""

    def __init__(self, plans: Mapping[str, Plan]):
        self.plans = dict(plans)

    def __len__(self) -> int:
        lengths = [len(plan) for plan in self.plans.values()]
        return max(lengths) if min(lengths) else 0

    def rows(self, numbers: np.ndarray) -> Rows:
        first = next(iter(self.plans.values()))
        return first.rows(np.asarray(numbers) % len(first))
