"""The smaller model goes on learning its task from labels; what was pruned to 0 stays so.

It makes nothing smaller, and is the control of `distil`: the same student, as long, without a teacher.
"""

from dataclasses import dataclass

from afterbert.compression.methods._training import TrainingMethod


@dataclass(frozen=True)
class Retrain(TrainingMethod):
    """Learns from labels alone."""
