"""Left-to-right language models: at each asked place, which piece comes next? For causal and prefix models."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone
from afterbert.objectives import Batch, ObjectiveModule
from afterbert.objectives.parts.arrays import asked_arrays, input_arrays, width_of
from afterbert.objectives.parts.bias_start import BiasStart, start_bias
from afterbert.objectives.parts.language_model import LanguageModelModule
from afterbert.objectives.parts.posing import PretextObjective
from afterbert.pretext.posed import Posed
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class NextPieceObjective(PretextObjective, ABC):
    """decoder_bias_start: has an effect where the head has an output bias."""

    decoder_bias_start: BiasStart = "zeros"

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        width = width_of(posed.shown, length)
        asked, counts = asked_arrays(posed, width=width, in_place="next")
        arrays = input_arrays(posed, vocabulary, width=width) | asked
        return Batch(arrays, counts, posed.shown.num_pieces, posed.shown.keys)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> NextPieceModule:
        return NextPieceModule(architecture, backbone)

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        assert isinstance(module, NextPieceModule)
        start_bias(module.lm_head, split, self.decoder_bias_start)


class NextPieceModule(LanguageModelModule):
    """The only part of the score: `next`."""

    part = "next"
    asks = "next pieces"
