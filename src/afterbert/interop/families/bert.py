"""BERT: learned positions, norm after adding, dense and norm before the tied decoder.

Names: transformers, models/bert/modeling_bert.py. A model of ours without segments gets two segment rows of
zeros, which is the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, cast

from afterbert.interop.families import Config
from afterbert.interop.families._names import bert_task_class
from afterbert.interop.families._tabled import Tabled
from afterbert.interop.sizes import Keys
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Names, Weight
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder


class Bert(Tabled):
    lm_class = "BertForMaskedLM"
    base_class = "BertModel"
    other_class: ClassVar[tuple[str, frozenset[str]] | None] = (
        "BertForPreTraining",
        frozenset(("lm_head", "pooler", "pair_head")),
    )
    prefix = "bert."
    model_input_names: ClassVar[tuple[str, ...]] = ("input_ids", "token_type_ids", "attention_mask")
    meaningless = r"bert\.embeddings\.position_ids|cls\.predictions\.decoder\."

    form = Encoder()
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 30522),
        "hidden_size": ("hidden_size", 768),
        "num_hidden_layers": ("num_hidden_layers", 12),
        "num_attention_heads": ("num_attention_heads", 12),
        "intermediate_size": ("intermediate_size", 3072),
        "max_position_embeddings": ("max_position_embeddings", 512),
        "hidden_dropout_prob": ("hidden_dropout_prob", 0.1),
        "attention_probs_dropout_prob": ("attention_probs_dropout_prob", 0.1),
        "norm.eps": ("layer_norm_eps", 1e-12),
        "embeddings.type_vocab_size": ("type_vocab_size", 2),
        "lm_head.activation": ("hidden_act", "gelu"),
        "stack.feed_forward.activation": ("hidden_act", "gelu"),
    }
    written: ClassVar[Keys] = {"initialization.initializer_range": ("initializer_range", 0.02)}
    only: ClassVar[Config] = {
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    }
    empty_segments: ClassVar[int] = 2
    """Rows of zeros in the table of segments, for a model that knows none."""
    modules: ClassVar[Names] = {
        "embeddings.token": "embeddings.word_embeddings",
        "embeddings.position": "embeddings.position_embeddings",
        "embeddings.segment": "embeddings.token_type_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
    }
    heads: ClassVar[Names] = {
        "lm_head": "cls.predictions",
        "lm_head.transform.dense": "cls.predictions.transform.dense",
        "lm_head.transform.norm": "cls.predictions.transform.LayerNorm",
        "pooler.dense": "bert.pooler.dense",
        "pair_head": "cls.seq_relationship",
    }
    stacks: ClassVar[Mapping[str, str]] = {"stack": "encoder.layer.{i}."}
    parts: ClassVar[Names] = {
        "attention.inner.qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
        "attention.inner.output": "attention.output.dense",
        "attention.norm": "attention.output.LayerNorm",
        "feed_forward.inner.input": "intermediate.dense",
        "feed_forward.inner.output": "output.dense",
        "feed_forward.norm": "output.LayerNorm",
    }

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = super().normal_form(architecture)
        segments = ours.embeddings.type_vocab_size or self.empty_segments
        return replace(ours, embeddings=replace(ours.embeddings, type_vocab_size=segments))

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        return bert_task_class(kind, self.base_class.removesuffix("Model"), str(self.heads["pooler.dense"]))

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        table, ours = super().weights(config, architecture), cast(Encoder, architecture)
        if not ours.embeddings.type_vocab_size:
            shape = (self.empty_segments, ours.embeddings.width(ours.sizes))
            table.append(Weight(None, (f"{self.prefix}embeddings.token_type_embeddings.weight",), shape=shape))
        return table
