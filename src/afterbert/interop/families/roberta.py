"""RoBERTa: BERT's layers; positions count from the padding id plus one; no pair question.

Names: transformers, models/roberta/modeling_roberta.py. The rows of their position table up to the padding id
never reach a visible piece: they are left out here and written as zeros. A model of ours without segments
gets one segment row of zeros, which is the same.
"""

from dataclasses import replace
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family
from afterbert.interop.families.bert import Bert
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Names
from afterbert.models import Architecture


class Roberta(Bert):
    lm_class = "RobertaForMaskedLM"
    base_class = "RobertaModel"
    other_class = None
    prefix = "roberta."
    model_input_names = Family.model_input_names
    meaningless = r"roberta\.embeddings\.position_ids|lm_head\.decoder\."
    empty_segments = 1
    heads: ClassVar[Names] = {
        "lm_head": "lm_head",
        "lm_head.transform.dense": "lm_head.dense",
        "lm_head.transform.norm": "lm_head.layer_norm",
        "pooler.dense": "roberta.pooler.dense",
    }

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        config = super().config_of(architecture, vocabulary)
        return {**config, "max_position_embeddings": config["max_position_embeddings"] + vocabulary.need("pad") + 1}

    def architecture_of(self, config: Config) -> Any:
        before = self.rows_before(config)
        positions = config.get("max_position_embeddings", 512) - before
        if positions < 1:
            raise UserError(
                f"config.json has max_position_embeddings {positions + before}, of which {before} are taken by the "
                "padding id; this leaves no position"
            )
        if config.get("hidden_act", "gelu") != "gelu":
            raise UserError(f"config.json has hidden_act '{config['hidden_act']}'; RoBERTa's head is always gelu")
        return super().architecture_of({**config, "max_position_embeddings": positions})

    def naturalness(self, architecture: Architecture) -> int:
        return 1 if self.as_ours(architecture).embeddings.type_vocab_size == 1 else -1

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        found = super().task_class(kind, architecture)
        own = replace(found, last="classifier.out_proj", dense="classifier.dense")  # rows have layers of their own
        return own if kind == "sequence" else found

    def rows_before(self, config: Config) -> int:
        pad = config.get("pad_token_id", 1)
        if pad is None:
            raise UserError("config.json has no pad_token_id, from which RoBERTa counts its positions; add it")
        return int(pad) + 1
