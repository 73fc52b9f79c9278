"""What running text usually asks of a kind of model."""

from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture

_RECIPES = {"left_to_right": "gpt2", "by_order": "xlnet", "both_ways": "bert-mlm"}


def usual_recipe(architecture: Architecture, vocabulary: Vocabulary) -> str:
    """Returns the name of the recipe whose task this kind of model is usually trained on: for those that read and write
    apart, T5's where the vocabulary has sentinels, else BART's."""
    if architecture.writes == "apart":
        return "t5" if vocabulary.sentinels else "bart"
    return _RECIPES[architecture.reads]
