"""What a recipe asks, without the model that answers: all that a picture of its task needs. Read without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afterbert.base import config
from afterbert.base.tree import Node
from afterbert.objectives import Objective
from afterbert.recipes.files import known, layers_of, sized, usual_size
from afterbert.text.tokenizers import TokenizerRecipe


@dataclass(frozen=True)
class RecipeQuestion:
    """name: the recipe's; title, length, tokenizer, objective: as it says them (`recipes.recipe.Recipe`)."""

    name: str
    title: str
    length: int
    tokenizer: TokenizerRecipe
    objective: Objective


def question_of(name: str, *, size: str | None = None, overrides: Sequence[tuple[str, str]] = ()) -> RecipeQuestion:
    """Reads what the recipe called `name` (or a path to a YAML file) asks; size and overrides as `resolve` takes them.

    A recipe that came along is known to be sound, so the question is all that is read of it. One of the user's own, or
    with settings of the user's own, is read and checked whole, which imports PyTorch. Raises UserError.
    """
    if overrides or name not in known():
        from afterbert.recipes.recipe import resolve

        return resolve(name, size=size, overrides=overrides).question
    layers = layers_of(name)
    usual = usual_size(layers)
    said = sized(layers, size or usual, asked=size, fitted=None, name=name).value
    asked = {key: said[key] for key in ("title", "length", "tokenizer", "objective") if key in said}
    return config.build(RecipeQuestion, Node({"name": Node(name, name), **asked}, f"{name}.yaml:1"))
