"""Running text as one task among labelled ones: a pretext task posed on a store's rows.

Source: T5 (1910.10683), Section 3.5.2, where the unsupervised task is one of the tasks that are mixed, with a size of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.interop.loaded import LoadedModel
from afterbert.objectives import Batch
from afterbert.objectives.parts.posing import PretextObjective
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split, Store


@dataclass(frozen=True)
class Unlabelled:
    """name: its name in the mix. objective: what is asked of each row, with one part of a score, through the
    model's own language-model head. length: pieces a row at most."""

    name: str
    split: Split
    objective: PretextObjective
    model: LoadedModel
    length: int

    @staticmethod
    def of(store: Store, objective: object, model: LoadedModel, *, length: int, name: str) -> Unlabelled:
        """The training split of a store. Raises UserError where store, objective and model do not go
        together."""
        store.check_made_with(
            model.tokenizer,
            whose=f"the model {model.name}",
            remedy=f"prepare the texts anew with --tokenizer {model.folder}",
        )
        if not isinstance(objective, PretextObjective):
            raise UserError(
                f"{name}: {name_of(objective)} cannot be one task among others; choose another recipe"
            )
        objective.check(model.architecture)
        made = Unlabelled(name, store.split("train"), objective, model, min(length, model.longest))
        if not len(made.plan):
            raise UserError(f"{store.folder} has no text to train on; name one that has")
        parts = made.batch(np.arange(1), Noise(0), parts=True).counts
        if len(parts) != 1:
            raise UserError(
                f"{name}: the objective asks for {', '.join(parts)} at once; among other tasks it may ask for one"
            )
        return made

    @cached_property
    def plan(self) -> Plan:
        """All rows; cut once, since an epoch of the mix may hold only a part of them."""
        vocabulary = self.model.tokenizer.vocabulary
        return self.objective.plan(
            self.split, length=self.length, vocabulary=vocabulary, noise=Noise(0).of("plan")
        )

    @cached_property
    def asked(self) -> np.ndarray:
        """int64 [U]: every row asks something."""
        return np.ones(len(self.plan), dtype=np.int64)

    @property
    def costs(self) -> np.ndarray:
        """int64 [U]: rows are full, so all are alike."""
        return self.asked

    def batch(self, units: np.ndarray, noise: Noise, *, parts: bool = False) -> Batch:
        """The rows `units` [B] in the view that the noise names. parts: count as the objective does, in place of
        under the task's own name."""
        vocabulary = self.model.tokenizer.vocabulary
        batch = self.objective.pose(self.plan, units, noise, vocabulary=vocabulary, length=self.length)
        counts = {part: count for part, count in batch.counts.items() if part != "ponder"}
        if not parts:
            counts = {self.name: sum(counts.values())}
        arrays = dict(batch.arrays) | {f"task/{self.name}": np.zeros(0, dtype=bool)}
        return Batch(arrays, counts, batch.num_tokens, batch.row_keys)
