"""BART: BERT's layers in an encoder and, looking at it, in a decoder; one table of pieces.

Names: transformers, models/bart/modeling_bart.py. Their position tables begin with two rows that are never
read. Both sides must have the same heads and widths.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config
from afterbert.interop.families._names import with_decoder_layers
from afterbert.interop.families._tabled import Tabled
from afterbert.interop.sizes import HEADS, INNER, LAYERS, Keys, sizes_of
from afterbert.interop.weights import Names, Weight
from afterbert.models import Architecture
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.nn.norms.layer_norm import LayerNorm


class Bart(Tabled):
    lm_class = "BartForConditionalGeneration"
    base_class = "BartModel"
    prefix = "model."
    meaningless = r"model\.(en|de)coder\.embed_tokens\.weight|lm_head\.weight"

    form = EncoderDecoder(norm=LayerNorm(eps=1e-5))  # torch's default, which their code leaves as it is
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 50265),
        "hidden_size": ("d_model", 1024),
        "num_hidden_layers": ("encoder_layers", 12),
        "num_attention_heads": ("encoder_attention_heads", 16),
        "intermediate_size": ("encoder_ffn_dim", 4096),
        "max_position_embeddings": ("max_position_embeddings", 1024),
        "hidden_dropout_prob": ("dropout", 0.1),
        "attention_probs_dropout_prob": ("attention_dropout", 0.0),
        "embeddings.is_scaled": ("scale_embedding", False),
        "stack.feed_forward.activation": ("activation_function", "gelu"),
        "stack.feed_forward.inner_dropout": ("activation_dropout", 0.0),
    }
    written: ClassVar[Keys] = {
        "num_attention_heads": ("decoder_attention_heads", 16),
        "intermediate_size": ("decoder_ffn_dim", 4096),
        "initialization.initializer_range": ("init_std", 0.02),
    }
    says: ClassVar[Config] = {"tie_word_embeddings": True, "is_encoder_decoder": True}
    modules: ClassVar[Names] = {
        "embeddings.token": "shared",
        "embeddings.position": "encoder.embed_positions",
        "embeddings.norm": "encoder.layernorm_embedding",
        "decoder_embeddings.position": "decoder.embed_positions",
        "decoder_embeddings.norm": "decoder.layernorm_embedding",
    }
    stacks: ClassVar[Mapping[str, str]] = {"stack": "encoder.layers.{i}.", "decoder_stack": "decoder.layers.{i}."}
    parts: ClassVar[Names] = {
        "attention.inner.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attention.inner.output": "self_attn.out_proj",
        "attention.norm": "self_attn_layer_norm",
        "cross_attention.inner.qkv": ("encoder_attn.q_proj", "encoder_attn.k_proj", "encoder_attn.v_proj"),
        "cross_attention.inner.output": "encoder_attn.out_proj",
        "cross_attention.norm": "encoder_attn_layer_norm",
        "feed_forward.inner.input": "fc1",
        "feed_forward.inner.output": "fc2",
        "feed_forward.norm": "final_layer_norm",
    }
    sizes = sizes_of(keys, decoder_layers=LAYERS, decoder_attention_heads=HEADS, decoder_ffn_dim=INNER)

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        config = super().config_of(architecture, vocabulary)
        ends = dict.fromkeys(("decoder_start_token_id", "forced_eos_token_id"), config["eos_token_id"])
        return {**config, **ends, "decoder_layers": self.as_ours(architecture).decoder_sizes.num_hidden_layers}

    def architecture_of(self, config: Config) -> Any:
        for setting in ("intermediate_size", "num_attention_heads"):
            (encoder, default), (decoder, _) = self.keys[setting], self.written[setting]
            if config.get(encoder, default) != config.get(decoder, default):
                raise UserError(f"config.json has different {encoder} and {decoder}; only equal ones can be read here")
        return with_decoder_layers(super().architecture_of(config), config.get("decoder_layers", 12))

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = super().normal_form(architecture)
        return with_decoder_layers(ours, ours.decoder_sizes.num_hidden_layers)

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        bias = Weight(None, ("final_logits_bias",), shape=(1, config["vocab_size"]))
        return [*super().weights(config, architecture), bias]

    def rows_before(self, config: Config) -> int:
        return 2
