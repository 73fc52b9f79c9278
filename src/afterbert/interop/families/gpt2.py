"""GPT-2: learned positions, norm before each part, left to right.

Names: transformers, models/gpt2/modeling_gpt2.py. Its matrices stand the other way round.
"""

from dataclasses import replace
from typing import Any, cast

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, ids_of, refuse_unless
from afterbert.interop.families._names import activation, as_kind, unshared, untransformed
from afterbert.interop.sizes import HEADS, INNER, LAYERS, PLACES, WIDTH, usual_and
from afterbert.interop.task_class import NOTHING, TaskClass, TaskKind
from afterbert.interop.weights import Weight, lines
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Stack


class Gpt2(Family):
    lm_class = "GPT2LMHeadModel"
    base_class = "GPT2Model"
    prefix = "transformer."
    sizes = usual_and(n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=INNER, n_positions=PLACES)
    meaningless = r"transformer\.h\.\d+\.attn\.(masked_)?bias|lm_head\.weight"

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = as_kind(Decoder, architecture, "gpt2")
        return {
            **ids_of(vocabulary),
            "vocab_size": ours.table_size(vocabulary),
            "n_embd": ours.hidden_size,
            "n_layer": ours.num_hidden_layers,
            "n_head": ours.num_attention_heads,
            "n_inner": ours.intermediate_size,
            "n_positions": ours.max_position_embeddings,
            "activation_function": getattr(ours.stack.feed_forward, "activation", "gelu_new"),
            "layer_norm_epsilon": getattr(ours.norm, "eps", 1e-5),
            "initializer_range": getattr(ours.initialization, "initializer_range", 0.02),
            "resid_pdrop": ours.hidden_dropout_prob,
            "embd_pdrop": ours.hidden_dropout_prob,
            "attn_pdrop": ours.attention_probs_dropout_prob,
            "tie_word_embeddings": True,
        }

    def architecture_of(self, config: Config) -> Decoder:
        for key, allowed in (
            ("scale_attn_weights", True),
            ("scale_attn_by_inverse_layer_idx", False),
            ("add_cross_attention", False),
            ("tie_word_embeddings", True),
        ):
            refuse_unless(config, key, allowed)
        width = config.get("n_embd", 768)
        return Decoder(
            vocab_size=config.get("vocab_size", 50257),
            hidden_size=width,
            num_hidden_layers=config.get("n_layer", 12),
            num_attention_heads=config.get("n_head", 12),
            intermediate_size=config.get("n_inner") or 4 * width,
            max_position_embeddings=config.get("n_positions", 1024),
            hidden_dropout_prob=config.get("resid_pdrop", 0.1),
            attention_probs_dropout_prob=config.get("attn_pdrop", 0.1),
            norm=LayerNorm(eps=config.get("layer_norm_epsilon", 1e-5)),
            stack=Stack(
                feed_forward=Plain(activation=activation(config, "activation_function", "gelu_new")), residual=PreNorm()
            ),
        )

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = as_kind(Decoder, architecture, "gpt2")
        return replace(ours, stack=unshared(ours.stack), lm_head=untransformed(ours.lm_head))

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass | None:
        bare = replace(NOTHING, last_bias=False)
        return {
            "sequence": TaskClass("GPT2ForSequenceClassification", bare, "score", summary="last"),
            "token": TaskClass("GPT2ForTokenClassification", NOTHING, "classifier"),
            "span": TaskClass("GPT2ForQuestionAnswering", NOTHING, "qa_outputs"),
        }.get(kind)

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        ours = cast(Decoder, architecture)
        plan = ours.stack.sharing.plan(ours.num_hidden_layers)
        table = [
            *lines("backbone.embeddings.token", "transformer.wte", "weight"),
            *lines("backbone.embeddings.position", "transformer.wpe", "weight"),
            *lines("backbone.stack.final_norm", "transformer.ln_f", "weight", "bias"),
        ]
        for i, (attends, transforms) in enumerate(zip(plan.attention, plan.feed_forward)):
            theirs = f"transformer.h.{i}"
            attention, feed_forward = (
                f"backbone.stack.attention.{attends}",
                f"backbone.stack.feed_forward.{transforms}",
            )
            table += lines(f"{attention}.norm", f"{theirs}.ln_1", "weight", "bias")
            table += lines(f"{feed_forward}.norm", f"{theirs}.ln_2", "weight", "bias")
            for part, name in (
                (f"{attention}.inner.qkv", "attn.c_attn"),
                (f"{attention}.inner.output", "attn.c_proj"),
                (f"{feed_forward}.inner.input", "mlp.c_fc"),
                (f"{feed_forward}.inner.output", "mlp.c_proj"),
            ):
                table += lines(part, f"{theirs}.{name}", "weight", "bias", transposed=True)
        return table
