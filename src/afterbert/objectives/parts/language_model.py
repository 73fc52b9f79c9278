"""What objectives share that name a piece at each asked place, through the head of the model's own family."""

from abc import ABC
from collections.abc import Mapping

from torch import Tensor

from afterbert.models import Architecture, Backbone, LanguageModel
from afterbert.nn.heads import LMHeadModule
from afterbert.nn.inputs import Inputs
from afterbert.nn.sampled_softmax import Sampler
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.posing import SampledSoftmax
from afterbert.objectives.parts.scores import right


class LanguageModelModule(ObjectiveModule, ABC):
    """Backbone and its language-model head. `part` is the part of the score that pieces are asked for, `asks` the
    same in words."""

    lm_head: LMHeadModule
    part: str
    asks: str
    fills_masks: bool = False

    def __init__(self, architecture: Architecture, backbone: Backbone, sampled: SampledSoftmax | None = None):
        super().__init__()
        self.backbone = backbone
        self.lm_head = architecture.build_lm_head(backbone)
        self.architecture = architecture
        self.loss_weights = {self.part: 1.0}
        self.sampler = None if sampled is None else Sampler(self.lm_head.num_pieces, sampled.pieces)

    @property
    def language_model(self) -> LanguageModel:
        return LanguageModel(self.architecture, self.backbone, self.lm_head, self.fills_masks)

    def meanings(self) -> Mapping[str, Meaning]:
        return {
            self.part: Meaning.of_pieces(self.asks, self.lm_head.num_pieces),
            f"{self.part}_accuracy": Meaning.share_right(self.asks),
        }

    def states(self, arrays: Mapping[str, Tensor], places: Tensor) -> Tensor:
        """Returns hidden states [N, D] at flat places [N] of a batch."""
        return self.backbone(arrays["input_ids"], **Inputs.of(arrays).beside_ids(), wanted=places)

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns logits [N, V] at the asked places of a batch."""
        return self.lm_head(self.states(arrays, arrays["chosen"]), Inputs.languages_at(arrays, arrays["chosen"]))

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {self.part: self.piece_score(self.states(arrays, arrays["chosen"]), arrays)}

    def piece_score(self, states: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the summed cross-entropy of the asked pieces, from the states [N, D] of their places; in a step that
        samples an estimate."""
        told = Inputs.languages_at(arrays, arrays["chosen"])
        sample = None
        if self.training and self.sampler is not None and "softmax_key" in arrays:
            sample = self.sampler.draw(int(arrays["softmax_key"]))
        return self.lm_head.score(states, arrays["target_ids"], told, sample=sample)

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        return {f"{self.part}_accuracy": right(self.predict(arrays), arrays["target_ids"])}


class NextPieceModule(LanguageModelModule):
    """The only part of the score: `next`."""

    part = "next"
    asks = "next pieces"
