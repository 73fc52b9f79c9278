"""ALBERT: BERT with narrow tables, and layers that share their weights in groups.

Names: transformers, models/albert/modeling_albert.py. Sharing of only one kind of part has no form there:
such a model is written as BERT, each layer with its copy, when its tables are not narrow.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config
from afterbert.interop.families._tabled import laid_over
from afterbert.interop.families.bert import Bert
from afterbert.interop.sizes import LAYERS, Keys, sizes_of
from afterbert.interop.weights import Names
from afterbert.models import Architecture
from afterbert.nn.sharing import Sharing, SharingPlan
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.sharing.groups import ShareGroups
from afterbert.nn.sharing.none import NoSharing


class Albert(Bert):
    lm_class = "AlbertForMaskedLM"
    base_class = "AlbertModel"
    other_class = ("AlbertForPreTraining", frozenset(("lm_head", "pooler", "pair_head")))
    prefix = "albert."
    sizes = sizes_of({}, num_hidden_groups=LAYERS, inner_group_num=LAYERS)
    meaningless = r"albert\.embeddings\.position_ids|predictions\.decoder\."

    keys: ClassVar[Keys] = {
        **Bert.keys,
        "vocab_size": ("vocab_size", 30000),
        "hidden_size": ("hidden_size", 4096),
        "num_attention_heads": ("num_attention_heads", 64),
        "intermediate_size": ("intermediate_size", 16384),
        "hidden_dropout_prob": ("hidden_dropout_prob", 0.0),
        "attention_probs_dropout_prob": ("attention_probs_dropout_prob", 0.0),
        "embeddings.embedding_size": ("embedding_size", 128),
        "lm_head.activation": ("hidden_act", "gelu_new"),
        "stack.feed_forward.activation": ("hidden_act", "gelu_new"),
    }
    only: ClassVar[Config] = {**Bert.only, "inner_group_num": 1}
    says: ClassVar[Config] = {**Bert.says, "inner_group_num": 1}

    modules: ClassVar[Names] = {**Bert.modules, "embeddings.widen": "encoder.embedding_hidden_mapping_in"}
    heads: ClassVar[Names] = {
        "lm_head": "predictions",
        "lm_head.transform.dense": "predictions.dense",
        "lm_head.transform.norm": "predictions.LayerNorm",
        "pooler.dense": "albert.pooler",
        "pair_head": "sop_classifier.classifier",
    }
    stacks: ClassVar[Mapping[str, str]] = {"stack": "encoder.albert_layer_groups.{i}.albert_layers.0."}
    parts: ClassVar[Names] = {
        "attention.inner.qkv": ("attention.query", "attention.key", "attention.value"),
        "attention.inner.output": "attention.dense",
        "attention.norm": "attention.LayerNorm",
        "feed_forward.inner.input": "ffn",
        "feed_forward.inner.output": "ffn_output",
        "feed_forward.norm": "full_layer_layer_norm",
    }

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        config = super().config_of(architecture, vocabulary)
        ours = self.as_ours(architecture)
        return {
            **config,
            "embedding_size": config["embedding_size"] or config["hidden_size"],
            "num_hidden_groups": len(set(ours.plan.attention)),
        }

    def architecture_of(self, config: Config) -> Any:
        ours = super().architecture_of(config)
        sharing = _groups(ours.num_hidden_layers, config.get("num_hidden_groups", 1))
        return laid_over(ours, {"stack.sharing": sharing})

    def normal_form(self, architecture: Architecture) -> Architecture:
        ours = self.as_ours(architecture)
        sharing, plan = ours.stack.sharing, ours.plan
        if plan.attention == plan.feed_forward:
            sharing = _groups(ours.num_hidden_layers, len(set(plan.attention)))
        return laid_over(super().normal_form(ours), {"stack.sharing": sharing})

    def plan_of(self, plan: SharingPlan) -> SharingPlan:
        groups = tuple(sorted(set(plan.attention)))
        return SharingPlan(groups, groups)


def _groups(layers: int, groups: int) -> Sharing:
    """The plan of so many groups of neighbours."""
    if groups == layers:
        return NoSharing()
    if groups == 1:
        return ShareAll()
    if layers % groups:
        raise UserError(f"config.json has {layers} layers in {groups} groups; only groups of one size can be read here")
    return ShareGroups(layers_per_group=layers // groups)
