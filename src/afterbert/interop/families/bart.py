"""BART: BERT's layers in an encoder and, looking at it, in a decoder; one table of pieces.

Names: transformers, models/bart/modeling_bart.py. Their position tables begin with two rows that are never
read. Both sides must have the same heads and widths.
"""

from typing import Any, cast

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, ids_of, refuse_unless
from afterbert.interop.families._names import activation, as_kind, normal_pair
from afterbert.interop.sizes import HEADS, INNER, LAYERS, WIDTH, usual_and
from afterbert.interop.weights import Weight, lines
from afterbert.models import Architecture
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.stack import Stack

# torch's default, which their code leaves as it is
_NORM = LayerNorm(eps=1e-5)


class Bart(Family):
    lm_class = "BartForConditionalGeneration"
    base_class = "BartModel"
    prefix = "model."
    sizes = usual_and(
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=INNER,
        decoder_ffn_dim=INNER,
    )
    meaningless = r"model\.(en|de)coder\.embed_tokens\.weight|lm_head\.weight"

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = as_kind(EncoderDecoder, architecture, "bart")
        ids = ids_of(vocabulary)
        return {
            **ids,
            "decoder_start_token_id": ids["eos_token_id"],
            "forced_eos_token_id": ids["eos_token_id"],
            "vocab_size": ours.table_size(vocabulary),
            "d_model": ours.hidden_size,
            "encoder_layers": ours.num_hidden_layers,
            "decoder_layers": ours.decoder_sizes.num_hidden_layers,
            "encoder_attention_heads": ours.num_attention_heads,
            "decoder_attention_heads": ours.num_attention_heads,
            "encoder_ffn_dim": ours.intermediate_size,
            "decoder_ffn_dim": ours.intermediate_size,
            "max_position_embeddings": ours.max_position_embeddings,
            "activation_function": getattr(ours.stack.feed_forward, "activation", "gelu"),
            "dropout": ours.hidden_dropout_prob,
            "attention_dropout": ours.attention_probs_dropout_prob,
            "activation_dropout": getattr(ours.stack.feed_forward, "inner_dropout", 0.0),
            "init_std": getattr(ours.initialization, "initializer_range", 0.02),
            "scale_embedding": ours.embeddings.is_scaled,
            "is_encoder_decoder": True,
            "tie_word_embeddings": True,
        }

    def architecture_of(self, config: Config) -> EncoderDecoder:
        refuse_unless(config, "tie_word_embeddings", True)
        for encoder, decoder, default in (
            ("encoder_ffn_dim", "decoder_ffn_dim", 4096),
            ("encoder_attention_heads", "decoder_attention_heads", 16),
        ):
            if config.get(encoder, default) != config.get(decoder, default):
                raise UserError(f"config.json has unlike {encoder} and {decoder}; only like ones can be read here")
        layers, decoder_layers = config.get("encoder_layers", 12), config.get("decoder_layers", 12)
        return EncoderDecoder(
            vocab_size=config.get("vocab_size", 50265),
            hidden_size=config.get("d_model", 1024),
            num_hidden_layers=layers,
            num_decoder_layers=None if decoder_layers == layers else decoder_layers,
            num_attention_heads=config.get("encoder_attention_heads", 16),
            intermediate_size=config.get("encoder_ffn_dim", 4096),
            max_position_embeddings=config.get("max_position_embeddings", 1024),
            hidden_dropout_prob=config.get("dropout", 0.1),
            attention_probs_dropout_prob=config.get("attention_dropout", 0.0),
            norm=_NORM,
            embeddings=Embeddings(type_vocab_size=0, is_scaled=config.get("scale_embedding", False)),
            stack=Stack(
                feed_forward=Plain(
                    activation=activation(config, "activation_function", "gelu"),
                    inner_dropout=config.get("activation_dropout", 0.0),
                )
            ),
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
            plan = ours.stack.sharing.plan(sizes.num_hidden_layers)
            for i, (attends, transforms) in enumerate(zip(plan.attention, plan.feed_forward)):
                table += _layer(f"model.{side}.layers.{i}", f"backbone.{stack}", attends, transforms, side == "decoder")
        return table


def _layer(theirs: str, stack: str, attends: int, transforms: int, looks_across: bool) -> list[Weight]:
    attentions = [("attention", "self_attn")] + [("cross_attention", "encoder_attn")] * looks_across
    table = []
    for part, name in attentions:
        ours = f"{stack}.{part}.{attends}"
        packed = tuple(f"{theirs}.{name}.{letter}_proj" for letter in "qkv")
        table += lines(f"{ours}.inner.qkv", packed, "weight", "bias")
        table += lines(f"{ours}.inner.output", f"{theirs}.{name}.out_proj", "weight", "bias")
        table += lines(f"{ours}.norm", f"{theirs}.{name}_layer_norm", "weight", "bias")
    ours = f"{stack}.feed_forward.{transforms}"
    table += lines(f"{ours}.inner.input", f"{theirs}.fc1", "weight", "bias")
    table += lines(f"{ours}.inner.output", f"{theirs}.fc2", "weight", "bias")
    return table + lines(f"{ours}.norm", f"{theirs}.final_layer_norm", "weight", "bias")
