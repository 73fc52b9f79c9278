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
from afterbert.nn.skeleton import skeleton
from afterbert.objectives import Batch, Objective
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split, Store


@dataclass(frozen=True)
class Unlabelled:
    """Rows of a split, asked by an objective that can share its backbone, through the model's own language-model
    head."""

    name: str
    """Its name in the mix."""
    split: Split
    objective: Objective
    part: str
    """The one part of the objective's score."""
    model: LoadedModel
    length: int
    """Pieces a row at most."""

    @staticmethod
    def of(store: Store, objective: Objective, model: LoadedModel, *, length: int, name: str) -> Unlabelled:
        """Returns running text as a source, from the training split of a store. Raises UserError where store, objective
        and model do not go together."""
        store.check_made_with(
            model.tokenizer,
            whose=f"the model {model.name}",
            remedy=f"prepare the texts anew with --tokenizer {model.folder}",
        )
        objective.check(model.architecture)
        parts = _parts(objective, model, name)
        if len(parts) != 1:
            raise UserError(
                f"{name}: the objective asks for {', '.join(parts)} at once; among other tasks it may ask for one"
            )
        split, length = store.split("train"), min(length, model.longest)
        made = Unlabelled(name, split, objective, parts[0], model, length)
        if not len(made.plan):
            raise UserError(f"{store.folder} has no text to train on; name one that has")
        return made

    @cached_property
    def plan(self) -> Plan:
        """All rows; cut once, since an epoch of the mix may hold only a part of them."""
        vocabulary = self.model.tokenizer.vocabulary
        return self.objective.plan(self.split, length=self.length, vocabulary=vocabulary, noise=Noise(0).of("plan"))

    @cached_property
    def asked(self) -> np.ndarray:
        """int64 [U]: every row asks something."""
        return np.ones(len(self.plan), dtype=np.int64)

    @property
    def costs(self) -> np.ndarray:
        """int64 [U]: rows are full, so all are alike."""
        return self.asked

    def batch(self, units: np.ndarray, noise: Noise) -> Batch:
        """Returns the rows `units` [B] in the view that the noise names, counted under the task's own name."""
        vocabulary = self.model.tokenizer.vocabulary
        batch = self.objective.pose(self.plan, units, noise, vocabulary=vocabulary, length=self.length)
        arrays = dict(batch.arrays) | {f"task/{self.name}": np.zeros(0, dtype=bool)}
        return Batch(arrays, {self.name: batch.counts.get(self.part, 0)}, batch.num_tokens, batch.row_keys)


def _parts(objective: Objective, model: LoadedModel, name: str) -> list[str]:
    """The parts of the score that it has on a backbone which others use too. Raises UserError if it must have that
    alone."""
    vocabulary = model.tokenizer.vocabulary
    with skeleton():
        backbone = model.architecture.build(vocabulary)
        try:
            return list(objective.build_on(backbone, model.architecture, vocabulary).loss_weights)
        except UserError as reason:
            raise UserError(
                f"{name}: {name_of(objective)} cannot be one task among others; choose another recipe"
            ) from reason
