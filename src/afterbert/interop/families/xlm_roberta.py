"""XLM-RoBERTa: RoBERTa under another name. Source: Conneau et al. (1911.02116).

Names: transformers, models/xlm_roberta/modeling_xlm_roberta.py.
"""

from afterbert.interop.families.roberta import Roberta
from afterbert.models import Architecture


class XlmRoberta(Roberta):
    lm_class = "XLMRobertaForMaskedLM"
    base_class = "XLMRobertaModel"

    def naturalness(self, architecture: Architecture) -> int:
        return super().naturalness(architecture) - 3
