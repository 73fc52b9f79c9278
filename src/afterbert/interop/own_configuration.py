"""The config of our own folder layout, as transformers wants it: `model_type` afterbert, the architecture as a tree."""

from typing import Any

from transformers import AutoConfig, PretrainedConfig

from afterbert.interop.own import Own


class AfterbertConfig(PretrainedConfig):
    """architecture: the plain tree of one of ours; what else transformers asks for is read from it."""

    model_type = Own().model_type

    def __init__(self, architecture: dict[str, Any] | None = None, vocab_size: int = 0, **others: Any):
        tree = architecture or {}
        self.architecture, self.vocab_size = architecture, vocab_size
        self.hidden_size = tree.get("hidden_size")
        self.num_hidden_layers = tree.get("num_hidden_layers")
        self.max_position_embeddings = tree.get("max_position_embeddings")
        others.setdefault("is_encoder_decoder", tree.get("type") == "encoder_decoder")
        super().__init__(**{**others, "tie_word_embeddings": False})


AutoConfig.register(AfterbertConfig.model_type, AfterbertConfig, exist_ok=True)
