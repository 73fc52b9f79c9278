"""What objectives that pose one pretext task have in common: rows are planned, the task is posed on them, and only then
do they differ."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Count, Share
from afterbert.base.plugins import name_of
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch, Objective, PretextTask
from afterbert.objectives.parts.arrays import asked_arrays, input_arrays, width_of
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import Posed
from afterbert.pretext.task import Pretext
from afterbert.text.token_store.store import Split

if TYPE_CHECKING:
    from afterbert.models import Architecture
    from afterbert.nn.heads import LMHeadModule
    from afterbert.objectives.modules import ObjectiveModule

#: `zeros` as in the papers; `log_frequencies` of the training text saves the first steps from learning them.
BiasStart = Literal["zeros", "log_frequencies"]
#: `drawn` as in the papers; `neighbours`: pieces that stand among the same pieces start alike; `translations`: also
#: those of other languages that stand in the same pairs of translations.
VectorStart = Literal["drawn", "neighbours", "translations"]


@dataclass(frozen=True)
class PretextObjective(Objective, ABC):
    """pretext: the four questions."""

    pretext: Pretext

    in_place: ClassVar[str] = "masked"
    """The part of the score for which pieces asked in place count."""

    def pretexts(self) -> Mapping[str, PretextTask]:
        return {"": PretextTask(self.pretext, self.plan)}

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        return self.pretext.pairing.plan(split, length=self.row_length(length), vocabulary=vocabulary, noise=noise)

    def row_length(self, length: int) -> int:
        """Returns the length of rows to plan, special pieces included, so that the model reads at most `length` of
        each. Raises UserError if nothing fits."""
        return self.pretext.row_length(length)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        posed = self.pretext.fitted(plan.rows(numbers), noise, vocabulary, plan.labels(numbers), length)
        batch = self.batch(posed, noise, vocabulary=vocabulary, length=length)
        return replace(batch, counts={**batch.counts, "ponder": batch.num_tokens})

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        """Returns the posed task as arrays. A pure function of its arguments."""
        width = width_of(posed.shown, length)
        asked, counts = asked_arrays(posed, width=width, in_place=self.in_place)
        arrays = input_arrays(posed, vocabulary, width=width) | asked
        return Batch(arrays, counts, posed.shown.num_pieces, posed.shown.keys)

    def check_reads_both_ways(self, architecture: Architecture) -> None:
        """Raises UserError for a model that does not."""
        if not architecture.is_encoder:
            raise UserError(
                f"{name_of(self)} needs a model that reads both ways; set model.type to encoder, or choose another "
                "objective"
            )

    def course(self) -> tuple[Stages, ...]:
        found = [edit.selection.course for edit in self.pretext.edits]
        return tuple(stages for stages in found if stages is not None)


@dataclass(frozen=True)
class SampledSoftmax:
    """For the first `share` of a run's steps pieces are scored against a sample of the vocabulary, then against all of
    it. pieces: how many a sample has, about; of a smaller vocabulary all pieces count. See
    `afterbert.nn.sampled_softmax`."""

    pieces: Count = 1000
    share: Share = 0.9

    @property
    def stages(self) -> Stages | None:
        """Both parts of a run; None where it has but one."""
        names = ("of a sample", "of all pieces")
        return Stages("softmax", names, (self.share, 1 - self.share), in_training=True) if 0 < self.share < 1 else None

    def samples_at(self, progress: float) -> bool:
        """Whether a step samples when the share `progress` of the run lies behind it."""
        return self.share > 0 and (self.stages is None or self.stages.at(progress) == 0)


@dataclass(frozen=True, kw_only=True)
class TextStart(PretextObjective, ABC):
    """decoder_bias_start: of the language-model head, where it has an output bias. token_vectors_start: of the table of
    pieces. sampled_softmax: None scores against all pieces in every step."""

    decoder_bias_start: BiasStart = "zeros"
    token_vectors_start: VectorStart = "drawn"
    sampled_softmax: SampledSoftmax | None = None

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        batch = super().pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        if self.sampled_softmax is None or not self.sampled_softmax.samples_at(noise.progress):
            return batch
        # by the step alone: all rows of it, in whatever process or view of the text, share one sample
        step = np.array([noise.progress]).view(np.uint64)
        key = noise.seen_as(0).of("softmax").bits(step) >> np.uint64(1)
        return replace(batch, arrays={**batch.arrays, "softmax_key": key.astype(np.int64)})

    def course(self) -> tuple[Stages, ...]:
        stages = self.sampled_softmax.stages if self.sampled_softmax else None
        return super().course() + (() if stages is None else (stages,))

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        import torch

        from afterbert.nn.embeddings import table_of
        from afterbert.objectives.parts import starts

        head = self.started_head(module)
        sampler: Any = getattr(module, "sampler", None)
        if sampler is not None:
            counts = np.bincount(starts.sample(split), minlength=head.num_pieces)
            sampler.learn(torch.from_numpy(counts))
        if self.decoder_bias_start == "log_frequencies" and head.bias is not None:
            starts.start_bias(head, starts.sample(split))
        table = table_of(module.backbone).weight
        if self.token_vectors_start == "translations":
            vectors = starts.translation_vectors(split, *table.shape, tables=head.num_tables)
        elif self.token_vectors_start == "neighbours":
            pieces = starts.sampled_rows(split, len(table), tables=head.num_tables)
            vectors = starts.neighbour_vectors(pieces, *table.shape)
        else:
            return
        starts.start_vectors(table, vectors)

    def started_head(self, module: Any) -> LMHeadModule:
        return module.lm_head
