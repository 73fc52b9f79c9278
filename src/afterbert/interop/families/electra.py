"""ELECTRA: BERT's layers behind tables that may be narrower, with the generator's head or the discriminator's.

Names: transformers, models/electra/modeling_electra.py. Their discriminator's class has no language-model head and
their generator's has no detection head, so a folder holds one of the two.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config
from afterbert.interop.families._names import bert_task_class
from afterbert.interop.families._tabled import laid_over
from afterbert.interop.families.bert import Bert
from afterbert.interop.sizes import Keys
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Names
from afterbert.models import Architecture
from afterbert.nn.task_head import TaskHead


class Electra(Bert):
    lm_class = "ElectraForMaskedLM"
    base_class = "ElectraModel"
    other_class = ("ElectraForPreTraining", frozenset(("detection_head",)))
    prefix = "electra."
    meaningless = r"electra\.embeddings\.position_ids|generator_lm_head\.weight"

    keys: ClassVar[Keys] = {name: word for name, word in Bert.keys.items() if not name.startswith("lm_head.")} | {
        "hidden_size": ("hidden_size", 256),
        "num_attention_heads": ("num_attention_heads", 4),
        "intermediate_size": ("intermediate_size", 1024),
        "embeddings.embedding_size": ("embedding_size", 128),
    }  # their head is gelu whatever the layers are

    modules: ClassVar[Names] = {**Bert.modules, "embeddings.widen": "embeddings_project"}
    heads: ClassVar[Names] = {
        "lm_head": "generator_lm_head",
        "lm_head.transform.dense": "generator_predictions.dense",
        "lm_head.transform.norm": "generator_predictions.LayerNorm",
        "detection_head.dense": "discriminator_predictions.dense",
        "detection_head.decision": "discriminator_predictions.dense_prediction",
    }

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        config = super().config_of(architecture, vocabulary)
        return {**config, "embedding_size": config["embedding_size"] or config["hidden_size"]}

    def architecture_of(self, config: Config) -> Any:
        ours = super().architecture_of(config)
        is_narrow = ours.embeddings.embedding_size != ours.hidden_size
        return ours if is_narrow else laid_over(ours, {"embeddings.embedding_size": None})

    def naturalness(self, architecture: Architecture) -> int:
        return -2

    def class_with(self, heads: Collection[str], config: Config) -> tuple[str, frozenset[str]]:
        # their detection head takes the layers' activation, ours is always gelu
        fitting = heads if config["hidden_act"] == "gelu" else set(heads) - {"detection_head"}
        found, taken = super().class_with(fitting, config)
        return found, taken - {"pooler"}

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        found = bert_task_class(kind, "Electra", "sequence_summary.summary")
        gelu = TaskHead(activation="gelu", starts_from=None)
        if kind == "sequence":
            return replace(found, head=gelu, last="classifier.out_proj", dense="classifier.dense")
        settings = {"summary_type": "first", "summary_use_proj": True, "summary_activation": "gelu"}
        return replace(found, head=gelu, summaries={"first": settings}) if kind == "choice" else found
