"""BART: BERT's layers in an encoder and, looking at it, in a decoder; one table of pieces.

Names: transformers, models/bart/modeling_bart.py. Their position tables begin with two rows that are never
read. Both sides must have the same heads and widths.
"""

from typing import Any, cast

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, ids_of, refuse_unless
from afterbert.interop.families._names import activation, as_kind, normal_pair, our_words, their_words
from afterbert.interop.sizes import HEADS, INNER, LAYERS, Keys, sizes_of
from afterbert.interop.weights import Weight, layer_lines, lines
from afterbert.models import Architecture
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.stack import Stack

_NORM = LayerNorm(eps=1e-5)  # torch's default, which their code leaves as it is
_KEYS: Keys = {
    "vocab_size": ("vocab_size", 50265),
    "hidden_size": ("d_model", 1024),
    "num_hidden_layers": ("encoder_layers", 12),
    "num_attention_heads": ("encoder_attention_heads", 16),
    "intermediate_size": ("encoder_ffn_dim", 4096),
    "max_position_embeddings": ("max_position_embeddings", 1024),
    "hidden_dropout_prob": ("dropout", 0.1),
    "attention_probs_dropout_prob": ("attention_dropout", 0.0),
}
_FEED_FORWARD = {"inner.input": "fc1", "inner.output": "fc2", "norm": "final_layer_norm"}


class Bart(Family):
    lm_class = "BartForConditionalGeneration"
    base_class = "BartModel"
    prefix = "model."
    sizes = sizes_of(_KEYS, decoder_layers=LAYERS, decoder_attention_heads=HEADS, decoder_ffn_dim=INNER)
    meaningless = r"model\.(en|de)coder\.embed_tokens\.weight|lm_head\.weight"

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = as_kind(EncoderDecoder, architecture, "bart")
        end = ids_of(vocabulary)["eos_token_id"]
        return {
            **their_words(ours, _KEYS, vocabulary),
            "decoder_start_token_id": end,
            "forced_eos_token_id": end,
            "decoder_layers": ours.decoder_sizes.num_hidden_layers,
            "decoder_attention_heads": ours.num_attention_heads,
            "decoder_ffn_dim": ours.intermediate_size,
            "activation_function": getattr(ours.stack.feed_forward, "activation", "gelu"),
            "activation_dropout": getattr(ours.stack.feed_forward, "inner_dropout", 0.0),
            "init_std": getattr(ours.initialization, "initializer_range", 0.02),
            "scale_embedding": ours.embeddings.is_scaled,
            "is_encoder_decoder": True,
        }

    def architecture_of(self, config: Config) -> EncoderDecoder:
        refuse_unless(config, "tie_word_embeddings", True)
        read = our_words(config, _KEYS)
        for setting, decoder in (
            ("intermediate_size", "decoder_ffn_dim"),
            ("num_attention_heads", "decoder_attention_heads"),
        ):
            encoder, default = _KEYS[setting]
            if read[setting] != config.get(decoder, default):
                raise UserError(f"config.json has unlike {encoder} and {decoder}; only like ones can be read here")
        decoder_layers = config.get("decoder_layers", 12)
        act, rate = activation(config, "activation_function", "gelu"), config.get("activation_dropout", 0.0)
        return EncoderDecoder(
            **read,
            num_decoder_layers=None if decoder_layers == read["num_hidden_layers"] else decoder_layers,
            norm=_NORM,
            embeddings=Embeddings(type_vocab_size=0, is_scaled=config.get("scale_embedding", False)),
            stack=Stack(feed_forward=Plain(activation=act, inner_dropout=rate)),
        )

    def normal_form(self, architecture: Architecture) -> Architecture:
        return normal_pair(as_kind(EncoderDecoder, architecture, "bart"))

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
