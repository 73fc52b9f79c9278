"""Which of transformers' auto classes opens a model folder with all that it can say."""

import json
from pathlib import Path

# Endings of the names of transformers' classes; the first that fits counts. XLNet's is registered for causal models.
_OPENED_BY = {
    "ElectraForPreTraining": "AutoModelForPreTraining",
    "ForPreTraining": "AutoModelForMaskedLM",
    "ForMaskedLM": "AutoModelForMaskedLM",
    "WithLMHeadModel": "AutoModelForMaskedLM",
    "LMHeadModel": "AutoModelForCausalLM",
    "ForCausalLM": "AutoModelForCausalLM",
    "ForConditionalGeneration": "AutoModelForSeq2SeqLM",
}


def auto_class(folder: Path) -> str:
    """Returns the auto class for the class that the folder's config names; AutoModel when that class has none of these
    heads, or when no config can be read."""
    try:
        named = str(json.loads((folder / "config.json").read_bytes())["architectures"][0])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "AutoModel"
    return next((opens for ending, opens in _OPENED_BY.items() if named.endswith(ending)), "AutoModel")
