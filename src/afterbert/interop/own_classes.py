"""Our architectures behind transformers' auto classes, for folders in our own layout.

Forward passes only, without a cache: what such a folder is for is a model that no class of theirs computes.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
from transformers import PreTrainedModel as _PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.own import architecture_in
from afterbert.interop.own_configuration import AfterbertConfig
from afterbert.interop.reading import hidden_states


class AfterbertPreTrainedModel(_PreTrainedModel):
    config_class = AfterbertConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    def _init_weights(self, module: Any) -> None:
        """Fresh weights are drawn where the architecture is built."""


class AfterbertModel(AfterbertPreTrainedModel):
    def __init__(self, config: AfterbertConfig):
        super().__init__(config)
        self.architecture = architecture_in(config.architecture, "config.json")
        self.backbone = self.architecture.build(Vocabulary(size=config.vocab_size))
        self.post_init()

    def get_input_embeddings(self) -> Any:
        return cast(Any, self.backbone).embeddings.token

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        language_ids: Tensor | None = None,
        **unused: Any,
    ) -> BaseModelOutput:
        """Padding stands on the right."""
        hidden = hidden_states(
            self.backbone,
            input_ids,
            attention_mask,
            decoder_input_ids=decoder_input_ids,
            token_type_ids=token_type_ids,
            language_ids=language_ids,
        )
        return BaseModelOutput(last_hidden_state=hidden)


class AfterbertForLM(AfterbertPreTrainedModel):
    """With the language-model head: masked, left to right or sequence to sequence as the architecture is."""

    def __init__(self, config: AfterbertConfig):
        super().__init__(config)
        self.model = AfterbertModel(config)
        self.lm_head = self.model.architecture.build_lm_head(self.model.backbone)
        self.post_init()

    def forward(self, input_ids: Tensor, **inputs: Any) -> MaskedLMOutput:
        return MaskedLMOutput(logits=self.lm_head(self.model(input_ids, **inputs).last_hidden_state))


def register_models() -> None:
    AutoModel.register(AfterbertConfig, AfterbertModel, exist_ok=True)
    for auto in (AutoModelForMaskedLM, AutoModelForCausalLM, AutoModelForSeq2SeqLM):
        auto.register(AfterbertConfig, AfterbertForLM, exist_ok=True)


register_models()
