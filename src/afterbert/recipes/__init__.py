"""Recipes: one YAML file per paper, read into one frozen tree.

`known` reads names alone, `question_of` (in `question`) what is asked; what builds a recipe imports PyTorch, and does
so when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterbert.recipes.files import known

if TYPE_CHECKING:
    from afterbert.recipes.recipe import Recipe, Resolved, resolve

__all__ = ["Recipe", "Resolved", "known", "resolve"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'afterbert.recipes' has no attribute '{name}'")
    from afterbert.recipes import recipe

    return getattr(recipe, name)
