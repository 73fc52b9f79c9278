"""BART: BERT's layers in an encoder and, looking at it, in a decoder; one table of pieces.

Names: transformers, models/bart/modeling_bart.py. Their position tables begin with two rows that are never
read. Both sides must have the same heads and widths.
"""

from typing import Any, ClassVar, cast

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config
from afterbert.interop.families._names import normal_pair, with_decoder_layers
from afterbert.interop.families._tabled import Tabled
from afterbert.interop.sizes import HEADS, INNER, LAYERS, Keys, sizes_of
from afterbert.interop.weights import Weight, layer_lines, lines
from afterbert.models import Architecture
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.nn.norms.layer_norm import LayerNorm

_FEED_FORWARD = {"inner.input": "fc1", "inner.output": "fc2", "norm": "final_layer_norm"}


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
        return normal_pair(super().normal_form(architecture))

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        ours = cast(EncoderDecoder, architecture)
        table = [
            *lines("backbone.embeddings.token", "model.shared", "weight"),
            Weight(None, ("final_logits_bias",), shape=(1, config["vocab_size"])),
        ]
        for side, embeddings, stack, sizes in (
            ("encoder", "embeddings", "stack", ours.sizes),
            ("decoder", "decoder_embeddings", "decoder_stack", ours.decoder_sizes),
        ):
            norm = f"model.{side}.layernorm_embedding"
            positions = (f"model.{side}.embed_positions.weight",)
            table.append(Weight(f"backbone.{embeddings}.position.weight", positions, rows_before=2))
            table += lines(f"backbone.{embeddings}.norm", norm, "weight", "bias")
            attentions = {"attention": "self_attn"}
            attentions |= {"cross_attention": "encoder_attn"} if side == "decoder" else {}
            parts: dict[str, str | tuple[str, ...]] = {f"feed_forward.{p}": name for p, name in _FEED_FORWARD.items()}
            for part, name in attentions.items():
                parts[f"{part}.inner.qkv"] = tuple(f"{name}.{letter}_proj" for letter in "qkv")
                parts[f"{part}.inner.output"], parts[f"{part}.norm"] = f"{name}.out_proj", f"{name}_layer_norm"
            plan = ours.stack.sharing.plan(sizes.num_hidden_layers)
            layer = f"model.{side}.layers.{{i}}."
            table += layer_lines(f"backbone.{stack}", plan, layer, parts, "weight", "bias")
        return table
