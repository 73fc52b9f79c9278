"""The model learns its task while layers are left out by chance, so that `layers` behind it harms less.

Source: Fan et al. (1909.11556); in pre-training the objective `layer_drop` does the same.
"""

from dataclasses import dataclass

from afterbert.base.numbers import ShareBelowOne
from afterbert.compression.methods import Setting
from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.subject import Subject
from afterbert.objectives import Objective
from afterbert.objectives.layer_drop import LayerDrop


@dataclass(frozen=True)
class LearnDropping(TrainingMethod):
    """Learns from labels, a few layers at a time missing."""

    rate: ShareBelowOne = 0.2
    """The chance that a layer is left out of a pass."""

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        return LayerDrop(objective, self.rate)
