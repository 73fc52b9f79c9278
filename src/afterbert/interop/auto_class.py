"""Which of transformers' auto classes opens a model folder with all that it can say."""

import json
from pathlib import Path
from typing import Any

from afterbert.base.plugins import find
from afterbert.models import Architecture

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
# Of our own layout, by how a model writes.
_OURS = {"nothing": "AutoModelForMaskedLM", "behind": "AutoModelForCausalLM", "apart": "AutoModelForSeq2SeqLM"}


def auto_class(folder: Path) -> str:
    """Returns the auto class for the class that the folder's config names; AutoModel when that class has none of these
    heads, or when no config can be read."""
    config = _config(folder)
    try:
        named = str(config["architectures"][0])
        if named == "AfterbertForLM":
            return _OURS[find(Architecture, str(config["architecture"]["type"])).writes]
    except (ValueError, LookupError, TypeError):
        return "AutoModel"
    return next((opens for ending, opens in _OPENED_BY.items() if named.endswith(ending)), "AutoModel")


def is_own(folder: Path) -> bool:
    """Returns whether a folder is in our own layout, which transformers opens after `import afterbert`."""
    return _config(folder).get("model_type") == "afterbert"


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
