"""DistilBERT: BERT without segments and pooler, under names of its own.

Source: Sanh et al. (1910.01108). Names: transformers, models/distilbert/modeling_distilbert.py. A table of
sinusoids is stored there like a learned one, and is read as one.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from afterbert.interop.families import Config
from afterbert.interop.families._names import bert_task_class
from afterbert.interop.families._tabled import Tabled
from afterbert.interop.families.bert import Bert
from afterbert.interop.sizes import Keys, sizes_of
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Names
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.task_head import TaskHead


class Distilbert(Tabled):
    lm_class = "DistilBertForMaskedLM"
    base_class = "DistilBertModel"
    prefix = "distilbert."
    meaningless = r"distilbert\.embeddings\.position_ids|vocab_projector\.weight"

    form = Encoder(
        norm=LayerNorm(eps=1e-12), embeddings=Embeddings(type_vocab_size=0)
    )  # the eps is fixed in their code
    keys: ClassVar[Keys] = {
        "vocab_size": ("vocab_size", 30522),
        "hidden_size": ("dim", 768),
        "num_hidden_layers": ("n_layers", 6),
        "num_attention_heads": ("n_heads", 12),
        "intermediate_size": ("hidden_dim", 3072),
        "max_position_embeddings": ("max_position_embeddings", 512),
        "hidden_dropout_prob": ("dropout", 0.1),
        "attention_probs_dropout_prob": ("attention_dropout", 0.1),
        "lm_head.activation": ("activation", "gelu"),
        "stack.feed_forward.activation": ("activation", "gelu"),
    }
    written: ClassVar[Keys] = {"initialization.initializer_range": ("initializer_range", 0.02)}
    says: ClassVar[Config] = {"tie_word_embeddings": True, "sinusoidal_pos_embds": False}
    sizes = sizes_of(keys)
    modules = Bert.modules
    heads: ClassVar[Names] = {
        "lm_head": "vocab_projector",
        "lm_head.transform.dense": "vocab_transform",
        "lm_head.transform.norm": "vocab_layer_norm",
    }
    stacks: ClassVar[Mapping[str, str]] = {"stack": "transformer.layer.{i}."}
    parts: ClassVar[Names] = {
        "attention.inner.qkv": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        "attention.inner.output": "attention.out_lin",
        "attention.norm": "sa_layer_norm",
        "feed_forward.inner.input": "ffn.lin1",
        "feed_forward.inner.output": "ffn.lin2",
        "feed_forward.norm": "output_layer_norm",
    }

    def naturalness(self, architecture: Architecture) -> int:
        return -3

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        found = bert_task_class(kind, "DistilBert", "pre_classifier")
        if found.head.has_dense:
            return replace(found, head=TaskHead(activation="relu", starts_from=None))
        return found
