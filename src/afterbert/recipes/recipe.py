"""Reading a recipe: `extends`, a size, dotted overrides; then one validated tree, each value with its
origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from afterbert.base import config
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.tree import Node, merge, override, read
from afterbert.models import Architecture
from afterbert.objectives import Objective
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.training.config import Training

_FOLDER = "afterbert.recipes"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a run computes, but for the text itself.

    length: pieces a row holds, specials included.
    """

    title: str
    paper: str | None = None
    length: Annotated[int, Field(ge=8)] = 128
    tokenizer: TokenizerRecipe
    model: Architecture
    objective: Objective
    training: Training

    def __post_init__(self) -> None:
        positions = getattr(self.model, "max_position_embeddings", None)
        if positions is not None and self.length > positions:
            raise UserError(
                f"length is {self.length}, but the model has {positions} positions; "
                "lower length or raise model.max_position_embeddings"
            )
        self.objective.check(self.model)
        self.objective.check_feed(self.model, order=self.training.order, views=self.training.views)


@dataclass(frozen=True)
class Resolved:
    """A recipe, the located tree it was built from, and the name and size it was asked by."""

    recipe: Recipe
    tree: Node
    name: str
    size: str | None = None

    def text(self, *, origins: bool = True) -> str:
        """The whole recipe as YAML that can be run again; with `origins`, each value's origin behind it as a
        comment."""
        plain = config.to_plain(self.recipe)
        lines = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000).splitlines()
        if not origins:
            return "\n".join(lines) + "\n"
        paths = list(_paths(plain))
        assert len(paths) == len(lines), "one YAML line per value"
        found = self.origins()
        width = min(60, max(len(line) for line in lines))
        told = [
            f"{line:<{width}}  # {found.get(path) or found.get(path.removesuffix('.type'), 'default')}"
            if leaf
            else line
            for line, (path, leaf) in zip(lines, paths)
        ]
        return "\n".join(told) + "\n"

    def origins(self) -> dict[str, str]:
        """Dotted path -> where the value was written. What is not here is a default."""
        return dict(_origins(self.tree, ""))


def known() -> list[str]:
    """The names of the recipes that come along."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files(_FOLDER).iterdir()
        if entry.name.endswith(".yaml")
    )


def sizes_of(name: str) -> tuple[str, ...]:
    """The sizes that a recipe offers, as its file orders them: from the smallest."""
    tree = _load(name, chain=())
    sizes = tree.value.get("sizes") if isinstance(tree.value, dict) else None
    return tuple(sizes.value) if sizes is not None and isinstance(sizes.value, dict) else ()


def resolve(
    name: str = "laptop",
    *,
    size: str | None = None,
    overrides: Sequence[tuple[str, str]] = (),
    fitted: Sequence[tuple[str, str]] = (),
) -> Resolved:
    """The recipe called `name` (or a path to a YAML file) at a size, with dotted overrides laid on top; below them
    what was `fitted` to a budget.

    Raises one UserError that lists every mistake with its place.
    """
    tree = _load(name, chain=())
    sizes = tree.value.pop("sizes", None) if isinstance(tree.value, dict) else None
    default = tree.value.pop("size", None)
    size = size or (default.value if default else None)
    if size is not None:
        tree = merge(tree, _size(sizes, size, name))
    for dotted, written in fitted:
        tree = override(tree, dotted, written, origin="fitted to the budget")
    for dotted, written in overrides:
        tree = override(tree, dotted, written)
    recipe = _evaluated(config.build(Recipe, tree))
    return Resolved(recipe, tree, name=Path(name).stem, size=size)


def _evaluated(recipe: Recipe) -> Recipe:
    """The recipe with an evaluation every tenth of its budget, where it does not say how often."""
    training = recipe.training
    if training.evaluate_every is not None:
        return recipe
    tenth = replace(training.budget, amount=training.budget.amount / 10)
    return replace(recipe, training=replace(training, evaluate_every=tenth))


def _load(name: str, chain: tuple[str, ...]) -> Node:
    if name in chain:
        raise UserError(
            f"recipe '{name}' extends itself ({' > '.join((*chain, name))}); remove one `extends`"
        )
    if name.endswith((".yaml", ".yml")):
        path, label, reader = Path(name), name, read
        if not path.is_file():
            raise UserError(
                f"recipe file {name} does not exist; check the path, or name one of: {', '.join(known())}"
            )
    else:
        if name not in known():
            raise UserError(f"no recipe is called '{name}'; {did_you_mean(name, known())}")
        path, label, reader = Path(str(resources.files(_FOLDER) / f"{name}.yaml")), f"{name}.yaml", _read_once
    written = reader(path, label=label)
    if not isinstance(written.value, dict):
        raise UserError(f"{label}: a recipe is a mapping of settings; see docs/recipes.md")
    tree = Node(dict(written.value), written.origin)
    parent = tree.value.pop("extends", None)
    if parent is None:
        return tree
    if not isinstance(parent.value, str):
        raise UserError(f"{parent.origin}: extends is {parent.plain!r}, must be the name of a recipe")
    near = str(path.parent / parent.value) if parent.value.endswith((".yaml", ".yml")) else parent.value
    return merge(_load(near, (*chain, name)), tree)


@cache
def _read_once(path: Path, *, label: str) -> Node:
    """A recipe that came along: it does not change, and YAML takes nearly all the time that resolving does."""
    return read(path, label=label)


def _size(sizes: Node | None, size: str, name: str) -> Node:
    listed = sizes.value if sizes is not None and isinstance(sizes.value, dict) else {}
    if size not in listed:
        raise UserError(f"recipe '{name}' has no size '{size}'; {did_you_mean(size, list(listed))}")
    return _named(listed[size], f"size {size}")


def _named(node: Node, prefix: str) -> Node:
    """The same tree; origins tell that a value came with the size."""
    value: Any = node.value
    if isinstance(value, dict):
        value = {key: _named(child, prefix) for key, child in value.items()}
    return Node(value, f"{node.origin} ({prefix})")


def _paths(plain: Any, path: str = "") -> list[tuple[str, bool]]:
    """One (dotted path, is a value) for each line that YAML prints for `plain`."""
    found: list[tuple[str, bool]] = []
    if isinstance(plain, Mapping):
        for key, value in plain.items():
            at = f"{path}.{key}" if path else str(key)
            nested = isinstance(value, (Mapping, list)) and len(value) > 0
            found.append((at, not nested))
            if nested:
                found += _paths(value, at)
    elif isinstance(plain, list):
        for i, value in enumerate(plain):
            inner = _paths(value, f"{path}.{i}")
            found += inner if isinstance(value, (Mapping, list)) and value else [(f"{path}.{i}", True)]
    return found


def _origins(node: Node, path: str) -> list[tuple[str, str]]:
    if isinstance(node.value, dict):
        return [
            pair
            for key, child in node.value.items()
            for pair in _origins(child, f"{path}.{key}" if path else key)
        ]
    if isinstance(node.value, list):
        return [pair for i, child in enumerate(node.value) for pair in _origins(child, f"{path}.{i}")]
    return [(path, node.origin)]
