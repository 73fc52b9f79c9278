"""What a denoising model is trained with: the head behind an encoder and a decoder, or behind one stack."""

from collections.abc import Mapping

from torch import Tensor

from afterbert.models import Architecture, Backbone
from afterbert.nn.inputs import Inputs
from afterbert.nn.stack import EncoderOutput
from afterbert.nn.visibility import is_piece
from afterbert.objectives.denoising import Denoising
from afterbert.objectives.parts.language_model import LanguageModelModule


class DenoisingModule(LanguageModelModule):
    """The only part of the score: `written`."""

    part = "written"
    asks = "written pieces"

    def __init__(self, config: Denoising, architecture: Architecture, backbone: Backbone):
        super().__init__(architecture, backbone, config.sampled_softmax)
        self.bottleneck = config.bottleneck
        self.sentence_pooling = None if config.bottleneck == "none" else config.bottleneck

    def states(self, arrays: Mapping[str, Tensor], places: Tensor) -> Tensor:
        if "decoder_input_ids" not in arrays:
            return super().states(arrays, places)
        written, lengths = arrays["decoder_input_ids"], arrays.get("decoder_lengths")
        if self.bottleneck != "none":
            return self.backbone.decode(written, self._one_vector(arrays), lengths=lengths).flatten(0, 1)[places]
        told = {"decoder_input_ids": written, "decoder_lengths": lengths}
        return self.backbone.states(Inputs.of(arrays), **told, wanted=places)

    def _one_vector(self, arrays: Mapping[str, Tensor]) -> EncoderOutput:
        """The encoder's output as a text of one state [B, 1, D]."""
        encoded = self.backbone.encode(Inputs.of(arrays))
        if self.bottleneck == "first":
            return EncoderOutput(encoded.hidden[:, :1], None)
        hidden = encoded.hidden
        is_text = is_piece(encoded.visibility, hidden.shape[1])
        if is_text is None:
            return EncoderOutput(hidden.mean(1, keepdim=True), None)
        lengths = is_text.sum(1)[:, None, None]
        return EncoderOutput((hidden * is_text[..., None]).sum(1, keepdim=True) / lengths, None)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.training:
            self.backbone.train("undropped" not in arrays)  # nothing but dropout tells the two modes apart
        return super().forward(arrays)
