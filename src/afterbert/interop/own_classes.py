"""Our architectures behind transformers' auto classes, for folders in our own layout.

Forward passes without a cache: `generate` reads everything again for each piece, which is slow and right.
`afterbert generate` remembers.
"""

from typing import Any, cast

from torch import Tensor
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
from transformers import GenerationMixin as _GenerationMixin
from transformers import PreTrainedModel as _PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.own import architecture_in
from afterbert.interop.own_configuration import AfterbertConfig
from afterbert.interop.reading import Packing, hidden_states
from afterbert.models import Backbone
from afterbert.nn.stack import EncoderOutput


class AfterbertPreTrainedModel(_PreTrainedModel):
    """The base of our classes for transformers."""

    config_class = AfterbertConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    def _init_weights(self, module: Any) -> None:
        """Fresh weights are drawn where the architecture is built."""


class AfterbertModel(AfterbertPreTrainedModel):
    """A backbone of ours as a class of transformers."""

    def __init__(self, config: AfterbertConfig):
        super().__init__(config)
        self.architecture = architecture_in(config.architecture, "config.json")
        self.backbone = self.architecture.build(Vocabulary(size=config.vocab_size))
        self.post_init()

    def get_input_embeddings(self) -> Any:
        return self.backbone.embeddings.token

    def get_encoder(self, modality: str | None = None) -> Any:
        return _EncoderAlone(self.backbone)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        language_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        **unused: Any,
    ) -> BaseModelOutput:
        """Returns the hidden states of `hidden_states`; padding may stand on either side of a row."""
        if encoder_outputs is not None:
            read, written = Packing.of(attention_mask), Packing.of(decoder_attention_mask)
            encoded = EncoderOutput(read.packed(cast(Tensor, encoder_outputs[0])), read.visibility)
            packed = written.packed(cast(Tensor, decoder_input_ids))
            hidden = written.unpacked(self.backbone.decode(packed, encoded))
        else:
            hidden = hidden_states(
                self.backbone,
                cast(Tensor, input_ids),
                attention_mask,
                decoder_input_ids=decoder_input_ids,
                decoder_attention_mask=decoder_attention_mask,
                token_type_ids=token_type_ids,
                language_ids=language_ids,
            )
        return BaseModelOutput(last_hidden_state=cast(Any, hidden))


class AfterbertForLM(AfterbertPreTrainedModel, _GenerationMixin):
    """A backbone with its language-model head: masked, left to right or sequence to sequence as the architecture is."""

    def __init__(self, config: AfterbertConfig):
        super().__init__(config)
        self.model = AfterbertModel(config)
        self.lm_head = self.model.architecture.build_lm_head(self.model.backbone)
        self.post_init()

    def get_encoder(self, modality: str | None = None) -> Any:
        return self.model.get_encoder()

    def forward(self, input_ids: Tensor | None = None, **inputs: Any) -> MaskedLMOutput:
        return MaskedLMOutput(logits=self.lm_head(self.model(input_ids, **inputs).last_hidden_state))

    def generate(self, *inputs: Any, **settings: Any) -> Any:
        """Generates as transformers does, without a cache. Raises UserError for a model that writes nothing."""
        if self.model.architecture.writes == "nothing":
            raise UserError(
                f"a model of type {name_of(self.model.architecture)} writes no text; generate needs a decoder or an "
                "encoder_decoder"
            )
        return super().generate(*inputs, **{**settings, "use_cache": False})


class _EncoderAlone:
    """What `generate` calls once, before it writes."""

    def __init__(self, backbone: Backbone):
        self.backbone = backbone

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        **unused: Any,
    ) -> BaseModelOutput:
        read = Packing.of(attention_mask)
        inputs = read.inputs(input_ids, token_type_ids=token_type_ids)
        hidden = read.unpacked(self.backbone.encode(inputs).hidden)
        return BaseModelOutput(last_hidden_state=cast(Any, hidden))

    __call__ = forward


AutoModel.register(AfterbertConfig, AfterbertModel, exist_ok=True)
for auto in (AutoModelForMaskedLM, AutoModelForCausalLM, AutoModelForSeq2SeqLM):
    auto.register(AfterbertConfig, AfterbertForLM, exist_ok=True)
