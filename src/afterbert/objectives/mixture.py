"""Several objectives for one model: each row draws one of them by weight, or every row is asked all of them, or they
follow one another in the course of the run.

Sources: the mixtures of pre-training tasks of UniLM (1905.03197, Section 2.4) and XLM (1901.07291, Section 3.3), of
unsupervised and supervised tasks of T5 (1910.10683, Section 3.5). Those draw one task for a whole batch; here each row
draws its own, which has the same expectation, less variance, and does not depend on how rows fall into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone, LanguageModel
from afterbert.objectives import Batch, Objective, ObjectiveModule, PretextTask
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.posing import with_ponder_cost
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split

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
    """members: the tasks; parts of the score are called `name.part`. how: each row draws a member by
    weight, all rows are asked by every member, or the members take turns in their order.

    A row that several members may draw is the same text where their pairings cut alike. All members train
    one backbone; language-model heads are shared too, other heads are each member's own.
    """

    members: tuple[Member, ...]
    how: Literal["drawn_by_row", "summed", "in_turn"] = "drawn_by_row"

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise UserError("a mixture needs at least two members; with one, write its objective alone")
        if self.how == "in_turn" and any(member.objective.course() for member in self.members):
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
        if self.how != "in_turn":
            return tuple(stages for member in self.members for stages in member.objective.course())
        names, shares = zip(*((member.name, member.weight) for member in self.members))
        return (Stages("a mixture in_turn", names, shares),)

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

    def pieces_per_row(self, length: int) -> float:
        """The mean over the members by their shares (over their turns: evenly)."""
        members = {member.name: member.objective.pieces_per_row(length) for member in self.members}
        return float(np.average(list(members.values()), weights=list(self.shares.values())))

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> MixtureModule:
        backbone = architecture.build(vocabulary)
        return MixtureModule(
            self,
            backbone,
            {
                member.name: with_ponder_cost(member.objective.build_on(backbone, architecture, vocabulary))
                for member in self.members
            },
        )

    def check(self, architecture: Architecture) -> None:
        for member in self.members:
            member.objective.check(architecture)

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:
        for member in self.members:
            member.objective.check_feed(architecture, order=order, views=views)

    def check_shards(self) -> None:
        for member in self.members:
            member.objective.check_shards()

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        assert isinstance(module, MixtureModule)
        for member in self.members:
            inner = module.members[member.name]
            assert isinstance(inner, ObjectiveModule)
            member.objective.begin(inner, split)


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


class MixtureModule(ObjectiveModule):
    """Parts of the score: `name.part` of each member that the batch asks."""

    def __init__(self, config: Mixture, backbone: Backbone, members: dict[str, ObjectiveModule]):
        super().__init__()
        self.backbone = backbone
        heads = [member.saved_heads["lm_head"] for member in members.values() if "lm_head" in member.saved_heads]
        if heads:
            self.lm_head = heads[0]
            for member in members.values():
                member.use_lm_head(heads[0])
        self.members = nn.ModuleDict(members)
        self.compares_rows = any(member.compares_rows for member in members.values())
        self.loss_weights = {
            f"{name}.{part}": weight * config.shares[name]
            for name, member in members.items()
            for part, weight in member.loss_weights.items()
        }

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            f"{name}.{part}": score for name, member, own in self._asked(arrays) for part, score in member(own).items()
        }

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """The predictions of all members that the batch asks, as one line [N]."""
        return torch.cat([member.predict(own).flatten() for _, member, own in self._asked(arrays)])

    @property
    def language_model(self) -> LanguageModel | None:
        """The one that fills masks, where a member has taught it to."""
        found = [cast(ObjectiveModule, member).language_model for member in self.members.values()]
        models = [model for model in found if model is not None]
        return max(models, key=lambda model: model.fills_masks, default=None)

    def meanings(self) -> Mapping[str, Meaning]:
        return {
            f"{name}.{key}": replace(one, title=f"{name}: {one.title}", beside=one.beside and f"{name}.{one.beside}")
            for name, member in self.members.items()
            for key, one in cast(ObjectiveModule, member).meanings().items()
        }

    def beside(self) -> Mapping[str, LanguageModel]:
        return {
            name: model
            for member in self.members.values()
            for name, model in cast(ObjectiveModule, member).beside().items()
        }

    def start_from(self, weights: Mapping[str, Mapping[str, Tensor]]) -> tuple[str, ...]:
        notes = [cast(ObjectiveModule, member).start_from(weights) for member in self.members.values()]
        return tuple(dict.fromkeys(note for each in notes for note in each))

    def before_passes(self, counts: Mapping[str, int]) -> None:
        for name, member in self.members.items():
            assert isinstance(member, ObjectiveModule)
            prefix = f"{name}."
            member.before_passes(
                {part.removeprefix(prefix): n for part, n in counts.items() if part.startswith(prefix)}
            )

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        return {
            f"{name}.{measure}": found
            for name, member, own in self._asked(arrays)
            for measure, found in member.measure(own).items()
        }

    def _asked(self, arrays: Mapping[str, Tensor]) -> list[tuple[str, ObjectiveModule, dict[str, Tensor]]]:
        """The members this batch asks, each with its own arrays."""
        found = []
        for name, member in self.members.items():
            own = {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}
            if own:
                assert isinstance(member, ObjectiveModule)
                found.append((name, member, own))
        return found
