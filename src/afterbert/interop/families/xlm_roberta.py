"""XLM-RoBERTa: RoBERTa under another name. Source: Conneau et al. (1911.02116).

Names: transformers, models/xlm_roberta/modeling_xlm_roberta.py.
"""

from typing import Any

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Config, Family
from afterbert.interop.families.roberta import Roberta, roberta_task_class
from afterbert.interop.task_class import TaskClass, TaskKind
from afterbert.interop.weights import Weight
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder


class XlmRoberta(Family):
    lm_class = "XLMRobertaForMaskedLM"
    base_class = "XLMRobertaModel"
    prefix = "roberta."
    meaningless = Roberta.meaningless

    def config_of(self, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, Any]:
        return Roberta().config_of(architecture, vocabulary)

    def architecture_of(self, config: Config) -> Encoder:
        return Roberta().architecture_of(config)

    def normal_form(self, architecture: Architecture) -> Architecture:
        return Roberta().normal_form(architecture)

    def naturalness(self, architecture: Architecture) -> int:
        return Roberta().naturalness(architecture) - 3

    def task_class(self, kind: TaskKind, architecture: Architecture) -> TaskClass:
        return roberta_task_class(kind, "XLMRoberta")

    def weights(self, config: Config, architecture: Architecture) -> list[Weight]:
        return Roberta().weights(config, architecture)
