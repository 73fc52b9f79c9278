"""Pre-training from a teacher: the task inside, learned from what another model says to the same rows.

Source: DistilBERT (1910.01108, Section 3), whose weights in its authors' code are 5, 2 and 1, at a temperature of 2.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import load_model
from afterbert.models import Architecture
from afterbert.objectives import Batch
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.distillation import DistillationModule, Losses, with_counts
from afterbert.objectives.parts.wrapping import WrappingObjective
from afterbert.pretext.pairings import Plan


@dataclass(frozen=True)
class Distilled(WrappingObjective):
    """An objective that also learns from a teacher."""

    teacher: str
    """A run or model folder, or a hub name; its tokenizer must be the text's own."""
    weights: str = ""
    """The digest of the teacher's weights; filled in when a run begins, so that none goes on with another teacher."""
    losses: Losses = Losses(temperature=2.0, soft=5.0, hard=2.0, cosine=1.0)

    @cached_property
    def model(self) -> LoadedModel:
        """The teacher. Raises UserError."""
        found = load_model(self.teacher)
        if self.weights and self.weights != found.digests.get("backbone"):
            raise UserError(f"the teacher {self.teacher} has other weights than when this run began; start a new run")
        return found

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> DistillationModule:
        theirs = self.model.tokenizer.vocabulary
        if (theirs.size, theirs.special_ids) != (vocabulary.size, vocabulary.special_ids):
            raise UserError(
                f"the teacher {self.teacher} has another vocabulary ({theirs.size:,} pieces, not {vocabulary.size:,}); "
                f"prepare the texts with --tokenizer {self.model.folder}"
            )
        if inner.language_model is None or len(self.inner.pretexts()) != 1 or inner.beside():
            raise UserError(
                f"objective {name_of(self.inner)} cannot be learned from a teacher, since it asks for "
                "more or other than the names of pieces; leave --teacher out, or take another recipe"
            )
        teacher = self.inner.build(self.model.architecture, vocabulary)
        missing = [note for note in teacher.start_from(self.model.weights_to_start_from()) if "starts fresh" in note]
        if missing:
            raise UserError(f"the teacher {self.teacher} cannot be asked this task: {missing[0]}")
        return DistillationModule(inner, teacher, self.losses)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        batch = self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        return with_counts(batch, self.losses)

    def flops_beside(self, architecture: Architecture, vocab_size: int, length: int) -> float:
        # a teacher is read forward only, a third of what the trainer counts for a step
        theirs = self.model.architecture.flops_per_token(vocab_size, length) / 3
        return theirs + self.inner.flops_beside(architecture, vocab_size, length)
