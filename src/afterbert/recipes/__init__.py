"""Recipes: one YAML file per paper, read into one frozen tree."""

from afterbert.recipes.recipe import Recipe, Resolved, known, resolve

__all__ = ["Recipe", "Resolved", "known", "resolve"]
