"""GPT-2: learned positions, norm before each part, left to right.

Names: transformers, models/gpt2/modeling_gpt2.py. Its matrices stand the other way round.
"""

from dataclasses import replace
from typing import Any, cast

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, refuse_unless
from afterbert.interop.families._names import activation, as_kind, our_words, their_words, unshared, untransformed
from afterbert.interop.sizes import Keys, sizes_of
from afterbert.interop.task_class import NOTHING, TaskClass, TaskKind
from afterbert.interop.weights import Weight, layer_lines, lines
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Stack

_KEYS: Keys = {
    "vocab_size": ("vocab_size", 50257),
    "hidden_size": ("n_embd", 768),
    "num_hidden_layers": ("n_layer", 12),
    "num_attention_heads": ("n_head", 12),
    "intermediate_size": ("n_inner", None),
    "max_position_embeddings": ("n_positions", 1024),
    "hidden_dropout_prob": ("resid_pdrop", 0.1),
    "attention_probs_dropout_prob": ("attn_pdrop", 0.1),
}
_MATRICES = {
    "attention.inner.qkv": "attn.c_attn",
    "attention.inner.output": "attn.c_proj",
    "feed_forward.inner.input": "mlp.c_fc",
    "feed_forward.inner.output": "mlp.c_proj",
}


class Gpt2(Family):
    lm_class = "GPT2LMHeadModel"
    base_class = "GPT2Model"
    prefix = "transformer."
    sizes = sizes_of(_KEYS)
    meaningless = r"transformer\.h\.\d+\.attn\.(masked_)?bias|lm_head\.weight"

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = as_kind(Decoder, architecture, "gpt2")
        return {
            **their_words(ours, _KEYS, vocabulary),
            "activation_function": getattr(ours.stack.feed_forward, "activation", "gelu_new"),
            "layer_norm_epsilon": getattr(ours.norm, "eps", 1e-5),
            "initializer_range": getattr(ours.initialization, "initializer_range", 0.02),
            "embd_pdrop": ours.hidden_dropout_prob,
        }

    def architecture_of(self, config: Config) -> Decoder:
        for key, allowed in (
            ("scale_attn_weights", True),
            ("scale_attn_by_inverse_layer_idx", False),
            ("add_cross_attention", False),
            ("tie_word_embeddings", True),
        ):
            refuse_unless(config, key, allowed)
        read = our_words(config, _KEYS)
        act = activation(config, "activation_function", "gelu_new")
        return Decoder(
            **{**read, "intermediate_size": read["intermediate_size"] or 4 * read["hidden_size"]},
            norm=LayerNorm(eps=config.get("layer_norm_epsilon", 1e-5)),
            stack=Stack(feed_forward=Plain(activation=act), residual=PreNorm()),
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
        norms, layer = {"attention.norm": "ln_1", "feed_forward.norm": "ln_2"}, "transformer.h.{i}."
        return [
            *lines("backbone.embeddings.token", "transformer.wte", "weight"),
            *lines("backbone.embeddings.position", "transformer.wpe", "weight"),
            *lines("backbone.stack.final_norm", "transformer.ln_f", "weight", "bias"),
            *layer_lines("backbone.stack", ours.plan, layer, norms, "weight", "bias"),
            *layer_lines("backbone.stack", ours.plan, layer, _MATRICES, "weight", "bias", transposed=True),
        ]
