"""BERT: learned positions, norm after adding, dense and norm before the tied decoder.

Names: transformers, models/bert/modeling_bert.py. A model of ours without segments gets two segment rows of
zeros, which is the same.
"""

from dataclasses import replace
from typing import Any, cast

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, ids_of, refuse_unless
from afterbert.interop.families._names import (
    activation,
    as_encoder,
    bert_embeddings,
    bert_layers,
    bert_task_class,
    unshared,
)
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Weight, lines
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.heads import LMHead
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.stack import Stack


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
            **ids_of(vocabulary),
            "vocab_size": ours.table_size(vocabulary),
            "hidden_size": ours.hidden_size,
            "num_hidden_layers": ours.num_hidden_layers,
            "num_attention_heads": ours.num_attention_heads,
            "intermediate_size": ours.intermediate_size,
            "max_position_embeddings": ours.max_position_embeddings,
            "hidden_act": getattr(ours.stack.feed_forward, "activation", "gelu"),
            "hidden_dropout_prob": ours.hidden_dropout_prob,
            "attention_probs_dropout_prob": ours.attention_probs_dropout_prob,
            "initializer_range": getattr(ours.initialization, "initializer_range", 0.02),
            "layer_norm_eps": getattr(ours.norm, "eps", 1e-12),
            "type_vocab_size": ours.embeddings.type_vocab_size or 2,
            "tie_word_embeddings": True,
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
            vocab_size=config.get("vocab_size", 30522),
            hidden_size=config.get("hidden_size", 768),
            num_hidden_layers=config.get("num_hidden_layers", 12),
            num_attention_heads=config.get("num_attention_heads", 12),
            intermediate_size=config.get("intermediate_size", 3072),
            max_position_embeddings=config.get("max_position_embeddings", 512),
            hidden_dropout_prob=config.get("hidden_dropout_prob", 0.1),
            attention_probs_dropout_prob=config.get("attention_probs_dropout_prob", 0.1),
            norm=LayerNorm(eps=config.get("layer_norm_eps", 1e-12)),
            embeddings=Embeddings(type_vocab_size=config.get("type_vocab_size", 2)),
            stack=Stack(feed_forward=Plain(activation=act)),
            lm_head=LMHead(activation=act),
        )

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = as_encoder(architecture, "bert")
        segments = ours.embeddings.type_vocab_size or 2
        embeddings = replace(ours.embeddings, type_vocab_size=segments)
        return replace(ours, embeddings=embeddings, stack=unshared(ours.stack))

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
