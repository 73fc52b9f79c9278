"""Reading a recipe: `extends`, a size, dotted overrides and their short names; then one validated tree, each value
with its origin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from afterbert.base import config
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.tree import Node, located, override
from afterbert.models import Architecture
from afterbert.objectives import Objective
from afterbert.recipes.files import Layer, layers_of, sized, usual_size, without
from afterbert.recipes.question import RecipeQuestion
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.training.config import LongRows, Training


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a run computes, but for the text itself."""

    title: str
    paper: str | None = None
    length: Annotated[int, Field(ge=8, le=1_000_000)] = 128
    """How many pieces a row holds, special ones included."""
    long_rows: LongRows | None = None
    """Longer rows at the end of the run. What is measured is asked in rows of `length` throughout."""
    tokenizer: TokenizerRecipe
    model: Architecture
    objective: Objective
    training: Training

    def __post_init__(self) -> None:
        positions = self.model.max_position_embeddings
        for name, (_, length) in zip(("length", "long_rows.length"), self.row_lengths):
            if length > positions:
                raise UserError(
                    f"{name} is {length}, but the model has {positions} positions; "
                    f"lower {name} or raise model.max_position_embeddings"
                )
        if self.long_rows is not None and self.long_rows.length <= self.length:
            raise UserError(
                f"long_rows.length is {self.long_rows.length}, and rows are {self.length} long from the start; take "
                "longer ones, or long_rows: null"
            )
        if self.long_rows is not None and self.training.order == "contiguous":
            raise UserError(
                "long_rows cuts the text anew, and training.order contiguous remembers how it was cut; leave one of "
                "them out"
            )
        self.objective.check(self.model)
        self.objective.check_feed(self.model, order=self.training.order, views=self.training.views)
        if self.training.budget.unit == "steps":
            for stages in self.objective.course():
                stages.first_steps(max(1, int(self.training.budget.amount)))

    @property
    def row_lengths(self) -> tuple[tuple[float, int], ...]:
        """The lengths that rows have in the run, each with its share of the steps."""
        last = self.long_rows
        return ((1.0, self.length),) if last is None else ((1 - last.share, self.length), (last.share, last.length))

    @property
    def batches(self) -> tuple[tuple[float, float, int], ...]:
        """The lengths that rows have, each with its share of the steps and the mean rows of these: (share, rows,
        length)."""
        found, begin = [], 0.0
        for share, length in self.row_lengths:
            found.append((share, self.training.batch_sizes.mean(begin, begin + share), length))
            begin += share
        return tuple(found)

    @property
    def pieces_per_step(self) -> float:
        """How many pieces a step reads in the mean of the run, where rows are full."""
        return sum(share * rows * length for share, rows, length in self.batches)


@dataclass(frozen=True)
class Resolved:
    """A recipe, the located tree it was built from, and the name and size it was asked by.

    names: short name -> the settings it stands for, by their dotted paths.
    """

    recipe: Recipe
    tree: Node
    name: str
    size: str | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def question(self) -> RecipeQuestion:
        """What it asks of which text."""
        asks = self.recipe
        return RecipeQuestion(self.name, asks.title, asks.length, asks.tokenizer, asks.objective)

    def text(self, *, origins: bool = True) -> str:
        """Returns the whole recipe as YAML that can be run again; with `origins`, each value is followed by its origin
        as a comment."""
        plain = config.to_plain(self.recipe)
        lines = _yaml(plain).splitlines()
        if origins:
            paths = list(_paths(plain))
            assert len(paths) == len(lines), "one YAML line per value"
            found = self.origins()
            width = min(60, max(len(line) for line in lines))
            lines = [
                f"{line:<{width}}  # {found.get(path) or found.get(path.removesuffix('.type'), 'default')}"
                if leaf
                else line
                for line, (path, leaf) in zip(lines, paths)
            ]
        names = {name: paths[0] if len(paths) == 1 else list(paths) for name, paths in self.names.items()}
        return "\n".join(lines) + "\n" + (_yaml({"names": names}) if names else "")

    def replaced(self, origin: str, **nodes: Any) -> Resolved:
        """Returns the recipe with other values in some of its fields, whose origin is `origin`."""
        plain = {name: located(config.to_plain(value), origin) for name, value in nodes.items()}
        tree = Node({**self.tree.value, **plain}, self.tree.origin)
        return replace(self, recipe=replace(self.recipe, **nodes), tree=tree)

    def value(self, path: str) -> Any:
        """Returns the value at a dotted path as plain data. Raises UserError if the recipe has no such setting."""
        found = config.to_plain(self.recipe)
        try:
            for key in path.split("."):
                found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise UserError(f"recipe '{self.name}' has no setting {path}; --dry-run shows them all") from None
        return found

    def origins(self) -> dict[str, str]:
        """Returns dotted path -> where the value was written. A path that is missing has its default."""
        return dict(_origins(self.tree, ""))


def says_its_size(name: str) -> bool:
    """Returns whether a recipe that extends another states how large its model is: by a size, or by a setting of the
    model that its parents' sizes would set."""
    *parents, own = layers_of(name)
    entries = [entry.value.get("model") for parent in parents for entry in parent.sizes.values()]
    model = own.values.value.get("model", Node({}, ""))
    overruled = any(entry is not None and without(entry, model) != entry for entry in entries)
    return bool(parents) and (own.size is not None or overruled)


def resolve(
    name: str = "laptop",
    *,
    size: str | None = None,
    overrides: Sequence[tuple[str, str]] = (),
    fitted: Sequence[tuple[str, str]] = (),
    fitted_size: str | None = None,
) -> Resolved:
    """Reads the recipe called `name` (or a path to a YAML file).

    What wins, from the weakest: the files, parents first, each with the size that is taken where nobody asked for one
    (`fitted_size`, else the files' own `size`); the `size` asked for; settings `fitted` to a budget; `overrides`,
    pairs of a dotted path, or a short name that the recipe declares, and a value as it is written in YAML. Among
    overrides an outer node is set before its parts. Raises one UserError that lists every mistake with its place.
    """
    layers = layers_of(name)
    names = _names(layers)
    usual = fitted_size or usual_size(layers)
    tree = sized(layers, size or usual, asked=size, fitted=fitted_size, name=name)
    for dotted, written in _outer_first(fitted, names):
        tree = override(tree, dotted[1], written, origin="fitted to the budget")
    for dotted, written in _outer_first(overrides, names):
        tree = override(tree, dotted[1], written, origin=f"--{dotted[0]}")
    recipe = _evaluated(config.build(Recipe, tree))
    return Resolved(recipe, tree, Path(name).stem, size or usual, names)


def of_objects(recipe: Recipe, *, overrides: Sequence[tuple[str, str]] = ()) -> Resolved:
    """Takes a recipe made of objects, so that it can be run, written down and run again like one from a file.

    Every value is told to be from `code`, but for `overrides`, which are laid on top. Raises one UserError that lists
    every mistake with its place.
    """
    tree = located(config.to_plain(recipe), "code")
    for dotted, written in _outer_first(overrides, {}):
        tree = override(tree, dotted[1], written, origin=f"--{dotted[0]}")
    name = re.sub(r"[^a-z0-9]+", "-", recipe.title.lower()).strip("-")[:40].strip("-") or "recipe"
    return Resolved(_evaluated(config.build(Recipe, tree)), tree, name)


def _names(layers: Sequence[Layer]) -> dict[str, tuple[str, ...]]:
    """Short name -> the paths it stands for, as the last file that says so; null takes a parent's name away."""
    found: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        for name, node in layer.names.items():
            paths = node.plain if isinstance(node.value, list) else [node.plain] if node.value else []
            if not all(isinstance(path, str) and path for path in paths) or not name.strip("."):
                raise UserError(
                    f"{node.origin}: the short name '{name}' stands for {node.plain!r}; write a setting's dotted path"
                )
            found[name] = tuple(paths)
    return {name: paths for name, paths in found.items() if paths}


def _outer_first(
    settings: Sequence[tuple[str, str]], names: Mapping[str, tuple[str, ...]]
) -> list[tuple[tuple[str, str], str]]:
    """((as written, the long path), value) for each setting, an outer node before its parts, since a new `type` takes
    away what was set below it. Raises UserError for what is neither a setting's path nor a short name."""
    found, wrong = [], []
    top = [setting.name for setting in fields(Recipe)]
    for dotted, written in settings:
        short = next((name for name in names if dotted == name or dotted.startswith(f"{name}.")), None)
        if short is None and dotted.partition(".")[0] not in top:
            near = did_you_mean(dotted, [*names, *top] if "." in dotted else top)
            wrong.append(f"--{dotted} is neither a setting nor a short name of this recipe; {near}")
        paths = names[short] if short else ("",)
        rest = dotted.removeprefix(short) if short else dotted
        found += [((dotted, path + rest), written) for path in paths]
    if wrong:
        raise UserError(*wrong)
    return sorted(found, key=lambda setting: setting[0][1].removesuffix(".type").count("."))


def _evaluated(recipe: Recipe) -> Recipe:
    """The recipe with an evaluation every tenth of its budget, where it does not say how often."""
    training = recipe.training
    if training.evaluate_every is not None:
        return recipe
    tenth = replace(training.budget, amount=training.budget.amount / 10)
    return replace(recipe, training=replace(training, evaluate_every=tenth))


def _yaml(plain: Mapping[str, Any]) -> str:
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)


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
    if isinstance(node.value, (dict, list)) and not node.value:
        return [(path, node.origin)]
    if isinstance(node.value, dict):
        return [pair for key, child in node.value.items() for pair in _origins(child, f"{path}.{key}" if path else key)]
    if isinstance(node.value, list):
        return [pair for i, child in enumerate(node.value) for pair in _origins(child, f"{path}.{i}")]
    return [(path, node.origin)]
