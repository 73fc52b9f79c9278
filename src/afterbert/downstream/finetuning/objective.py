"""Fine-tuning as an objective: a backbone with one head for each task, one task in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.heads import Head, HeadModule
from afterbert.downstream.posing.backbone import states
from afterbert.downstream.posing.prepared import Prepared, in_batches, unpadded
from afterbert.downstream.task_name import module_key
from afterbert.interop.loaded import LoadedModel
from afterbert.objectives import ObjectiveModule
from afterbert.training.step import to_tensors


class TaskModule(ObjectiveModule):
    """Parts of the score: one for each task, by name. frozen: the backbone learns nothing and runs without
    dropout."""

    def __init__(
        self,
        model: LoadedModel,
        heads: Mapping[str, HeadModule],
        *,
        texts: Sequence[Unlabelled] = (),
        loss_weights: Mapping[str, float] | None = None,
        frozen: bool = False,
    ):
        super().__init__()
        self.architecture, self.frozen = model.architecture, frozen
        self.backbone = model.backbone()
        self.heads = nn.ModuleDict({module_key(name): head for name, head in heads.items()})
        writing = [head for head in heads.values() if head.writes]
        lm_head = model.lm_head_on(self.backbone) if writing or texts else None
        if lm_head is not None:
            for head in writing:
                head.attach(self.backbone, lm_head)
        self.lm_head: nn.Module | None = lm_head
        # In a plain mapping, so that what they share is not taken for parts of theirs.
        self._texts = {text.name: self._posed(text) for text in texts}
        self.loss_weights = dict.fromkeys([*heads, *self._texts], 1.0) | dict(loss_weights or {})
        self.backbone.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> TaskModule:
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def hidden(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Hidden states [B, T, D] of a batch, or of the text to write [B, U, D]; where the head reads some places only,
        of those [N, D]."""
        wanted = self.head(_task_of(arrays)).wanted(arrays)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return states(self.backbone, arrays, wanted=wanted)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        name = _task_of(arrays)
        if name in self._texts:
            (score,) = self._texts[name](arrays).values()
            return {name: score}
        return {name: self.head(name).score(self.hidden(arrays), arrays)}

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """What predictions of the batch's task are read from, as its head puts it."""
        return self.head(_task_of(arrays)).output(self.hidden(arrays), arrays)

    def _posed(self, text: Unlabelled) -> ObjectiveModule:
        """The objective of running text on this backbone and its language-model head."""
        vocabulary = text.model.tokenizer.vocabulary
        made = text.objective.build_on(self.backbone, self.architecture, vocabulary)
        assert self.lm_head is not None
        made.use_lm_head(self.lm_head)
        return made

    def head(self, name: str) -> HeadModule:
        """The head of a task."""
        head = self.heads[module_key(name)]
        assert isinstance(head, HeadModule)
        return head


def _task_of(arrays: Mapping[str, Tensor]) -> str:
    return next(key for key in arrays if key.startswith("task/")).removeprefix("task/")


def outputs(
    module: TaskModule,
    head: Head,
    prepared: Prepared,
    *,
    name: str,
    pad: int,
    has_segments: bool,
    device: torch.device,
    batch_size: int = 64,
) -> Sequence[np.ndarray]:
    """The head's output for each row [R] in order, without padding. The module must be in evaluation mode."""
    found: list[np.ndarray] = [np.zeros(0)] * len(prepared.rows)
    for units, rows in _by_cost(prepared, batch_size):
        batch = prepared.batch(units, pad=pad, has_segments=has_segments, name=name)
        with torch.inference_mode():
            values = module.predict(to_tensors(batch.arrays, device)).cpu().numpy()
        own = unpadded(values, prepared.rows.lengths[rows]) if head.is_by_piece else values
        for row, value in zip(rows, own):
            found[row] = value
    return found


def _by_cost(prepared: Prepared, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Units in batches of like length, and the rows of each."""
    per_unit = max(1, round(len(prepared.rows) / max(1, len(prepared))))
    for units in in_batches(prepared.costs, max(1, batch_size // per_unit)):
        yield units, prepared.row_numbers(units)
