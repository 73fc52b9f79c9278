"""BERT: learned positions, norm after adding, dense and norm before the tied decoder.

Names: transformers, models/bert/modeling_bert.py. A model of ours without segments gets two segment rows of
zeros, which is the same.
"""

from typing import Any, cast

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, refuse_unless
from afterbert.interop.families._names import (
    activation,
    as_encoder,
    bert_embeddings,
    bert_layers,
    bert_task_class,
    our_words,
    their_words,
    with_segments,
)
from afterbert.interop.sizes import Keys
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Weight, lines
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.heads import LMHead
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.stack import Stack

#: Setting of ours -> their word and default.
KEYS: Keys = {
    "vocab_size": ("vocab_size", 30522),
    "hidden_size": ("hidden_size", 768),
    "num_hidden_layers": ("num_hidden_layers", 12),
    "num_attention_heads": ("num_attention_heads", 12),
    "intermediate_size": ("intermediate_size", 3072),
    "max_position_embeddings": ("max_position_embeddings", 512),
    "hidden_dropout_prob": ("hidden_dropout_prob", 0.1),
    "attention_probs_dropout_prob": ("attention_probs_dropout_prob", 0.1),
}


class Bert(Family):
    lm_class = "BertForMaskedLM"
    base_class = "BertModel"
    other_class = ("BertForPreTraining", frozenset(("lm_head", "pooler", "pair_head")))
    prefix = "bert."
    model_input_names = ("input_ids", "token_type_ids", "attention_mask")
    meaningless = r"bert\.embeddings\.position_ids|cls\.predictions\.decoder\."

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = as_encoder(architecture, "bert")
        return {
            **their_words(ours, KEYS, vocabulary),
            "hidden_act": getattr(ours.stack.feed_forward, "activation", "gelu"),
            "initializer_range": getattr(ours.initialization, "initializer_range", 0.02),
            "layer_norm_eps": getattr(ours.norm, "eps", 1e-12),
            "type_vocab_size": ours.embeddings.type_vocab_size or 2,
        }

    def architecture_of(self, config: Config) -> Encoder:
        for key, allowed in (
            ("position_embedding_type", "absolute"),
            ("is_decoder", False),
            ("add_cross_attention", False),
            ("tie_word_embeddings", True),
        ):
            refuse_unless(config, key, allowed)
        act = activation(config, "hidden_act", "gelu")
        return Encoder(
            **our_words(config, KEYS),
            norm=LayerNorm(eps=config.get("layer_norm_eps", 1e-12)),
            embeddings=Embeddings(type_vocab_size=config.get("type_vocab_size", 2)),
            stack=Stack(feed_forward=Plain(activation=act)),
            lm_head=LMHead(activation=act),
        )

    def normal_form(self, architecture: Architecture) -> Architecture:
        return with_segments(as_encoder(architecture, "bert"), 2)

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        return bert_task_class(kind, "Bert", "bert.pooler.dense")

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        ours = cast(Encoder, architecture)
        return [
            *bert_embeddings(self.prefix, ours, rows_before=0, empty_segments=2),
            *bert_layers(self.prefix, ours),
            *lines("lm_head.transform.dense", "cls.predictions.transform.dense", "weight", "bias"),
            *lines("lm_head.transform.norm", "cls.predictions.transform.LayerNorm", "weight", "bias"),
            Weight("lm_head.bias", ("cls.predictions.bias",)),
            *lines("pooler.dense", "bert.pooler.dense", "weight", "bias"),
            *lines("pair_head", "cls.seq_relationship", "weight", "bias"),
        ]
