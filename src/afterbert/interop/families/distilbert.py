"""DistilBERT: BERT without segments and pooler, under names of its own.

Source: Sanh et al. (1910.01108). Names: transformers, models/distilbert/modeling_distilbert.py. A table of
sinusoids is stored there like a learned one, and is read as one.
"""

from dataclasses import replace
from typing import Any, cast

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family, ids_of, refuse_unless
from afterbert.interop.families._names import activation, as_encoder, bert_task_class, unshared
from afterbert.interop.sizes import HEADS, INNER, LAYERS, WIDTH, usual_and
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Weight, lines
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.heads import LMHead
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.stack import Stack
from afterbert.nn.task_head import TaskHead

# fixed in their code
_NORM = LayerNorm(eps=1e-12)


class Distilbert(Family):
    lm_class = "DistilBertForMaskedLM"
    base_class = "DistilBertModel"
    prefix = "distilbert."
    sizes = usual_and(dim=WIDTH, n_layers=LAYERS, n_heads=HEADS, hidden_dim=INNER)
    meaningless = r"distilbert\.embeddings\.position_ids|vocab_projector\.weight"

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        ours = as_encoder(architecture, "distilbert")
        return {
            **ids_of(vocabulary),
            "vocab_size": ours.table_size(vocabulary),
            "dim": ours.hidden_size,
            "n_layers": ours.num_hidden_layers,
            "n_heads": ours.num_attention_heads,
            "hidden_dim": ours.intermediate_size,
            "max_position_embeddings": ours.max_position_embeddings,
            "activation": getattr(ours.stack.feed_forward, "activation", "gelu"),
            "dropout": ours.hidden_dropout_prob,
            "attention_dropout": ours.attention_probs_dropout_prob,
            "initializer_range": getattr(ours.initialization, "initializer_range", 0.02),
            "sinusoidal_pos_embds": False,
            "tie_word_embeddings": True,
        }

    def architecture_of(self, config: Config) -> Encoder:
        refuse_unless(config, "tie_word_embeddings", True)
        act = activation(config, "activation", "gelu")
        return Encoder(
            vocab_size=config.get("vocab_size", 30522),
            hidden_size=config.get("dim", 768),
            num_hidden_layers=config.get("n_layers", 6),
            num_attention_heads=config.get("n_heads", 12),
            intermediate_size=config.get("hidden_dim", 3072),
            max_position_embeddings=config.get("max_position_embeddings", 512),
            hidden_dropout_prob=config.get("dropout", 0.1),
            attention_probs_dropout_prob=config.get("attention_dropout", 0.1),
            norm=_NORM,
            embeddings=Embeddings(type_vocab_size=0),
            stack=Stack(feed_forward=Plain(activation=act)),
            lm_head=LMHead(activation=act),
        )

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = as_encoder(architecture, "distilbert")
        return replace(ours, stack=unshared(ours.stack))

    def naturalness(self, architecture: Architecture) -> int:
        return -3

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        found = bert_task_class(kind, "DistilBert", "pre_classifier")
        if found.head.has_dense:
            return replace(found, head=TaskHead(activation="relu", starts_from=None))
        return found

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        ours = cast(Encoder, architecture)
        table = [
            *lines("backbone.embeddings.token", "distilbert.embeddings.word_embeddings", "weight"),
            *lines("backbone.embeddings.position", "distilbert.embeddings.position_embeddings", "weight"),
            *lines("backbone.embeddings.norm", "distilbert.embeddings.LayerNorm", "weight", "bias"),
            *lines("lm_head.transform.dense", "vocab_transform", "weight", "bias"),
            *lines("lm_head.transform.norm", "vocab_layer_norm", "weight", "bias"),
            Weight("lm_head.bias", ("vocab_projector.bias",)),
        ]
        plan = ours.stack.sharing.plan(ours.num_hidden_layers)
        for i, (attends, transforms) in enumerate(zip(plan.attention, plan.feed_forward)):
            theirs = f"distilbert.transformer.layer.{i}"
            packed = tuple(f"{theirs}.attention.{letter}_lin" for letter in "qkv")
            attention = f"backbone.stack.attention.{attends}"
            feed_forward = f"backbone.stack.feed_forward.{transforms}"
            table += lines(f"{attention}.inner.qkv", packed, "weight", "bias")
            table += lines(f"{attention}.inner.output", f"{theirs}.attention.out_lin", "weight", "bias")
            table += lines(f"{attention}.norm", f"{theirs}.sa_layer_norm", "weight", "bias")
            table += lines(f"{feed_forward}.inner.input", f"{theirs}.ffn.lin1", "weight", "bias")
            table += lines(f"{feed_forward}.inner.output", f"{theirs}.ffn.lin2", "weight", "bias")
            table += lines(f"{feed_forward}.norm", f"{theirs}.output_layer_norm", "weight", "bias")
        return table
