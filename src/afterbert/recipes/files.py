"""Recipe files as they are written: which come along, what each says, and what it extends. Nothing is built."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.tree import Node, read

_FOLDER = "afterbert.recipes"


@dataclass(frozen=True)
class Layer:
    """What one recipe file says, without what it extends; `size` is None where it says nothing of it."""

    values: Node
    sizes: Mapping[str, Node]
    size: Node | None
    names: Mapping[str, Node]


@dataclass(frozen=True)
class Heading:
    """What a list of recipes says of one: its title, the paper it follows and its sizes, from the smallest."""

    title: str
    paper: str | None
    sizes: tuple[str, ...]


def known() -> list[str]:
    """The names of the recipes that come along."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in resources.files(_FOLDER).iterdir() if entry.name.endswith(".yaml")
    )


def heading_of(name: str) -> Heading:
    """Reads the heading of the recipe called `name` (or of a path to a YAML file) from its files alone, so that a
    list of all recipes needs no PyTorch. Raises UserError where a file cannot be read."""
    said = {key: node.plain for layer in layers_of(name) for key, node in layer.values.value.items()}
    paper = said.get("paper")
    return Heading(str(said.get("title", name)), None if paper is None else str(paper), sizes_of(name))


def sizes_of(name: str) -> tuple[str, ...]:
    """The sizes that a recipe offers, in the order of its files: from the smallest."""
    return tuple(dict.fromkeys(size for layer in layers_of(name) for size in layer.sizes))


def layers_of(name: str, chain: tuple[str, ...] = ()) -> list[Layer]:
    """What the file of the recipe called `name` (or at a path) says, and before it what the files say that it extends,
    the farthest first. `chain` holds the names that led here. Raises UserError."""
    if name in chain:
        raise UserError(f"recipe '{name}' extends itself ({' > '.join((*chain, name))}); remove one `extends`")
    if name.endswith((".yaml", ".yml")):
        path, label, reader = Path(name), name, read
        if not path.is_file():
            raise UserError(f"recipe file {name} does not exist; check the path, or name one of: {', '.join(known())}")
    else:
        if name not in known():
            raise UserError(f"no recipe is called '{name}'; {did_you_mean(name, known())}")
        path, label, reader = Path(str(resources.files(_FOLDER) / f"{name}.yaml")), f"{name}.yaml", _read_once
    written = reader(path, label=label)
    if not isinstance(written.value, dict):
        raise UserError(f"{label}: a recipe is a mapping of settings; see docs/recipes.md")
    values = dict(written.value)
    parent, size = values.pop("extends", None), values.pop("size", None)
    sizes, names = (_mapping(values.pop(key, None), key) for key in ("sizes", "names"))
    own = Layer(Node(values, written.origin), sizes, size, names)
    if parent is None:
        return [own]
    if not isinstance(parent.value, str):
        raise UserError(f"{parent.origin}: extends is {parent.plain!r}, must be the name of a recipe")
    near = str(path.parent / parent.value) if parent.value.endswith((".yaml", ".yml")) else parent.value
    return [*layers_of(near, (*chain, name)), own]


@cache
def _read_once(path: Path, *, label: str) -> Node:
    """A recipe that came along: it does not change, and parsing YAML takes long."""
    return read(path, label=label, ours=True)


def _mapping(node: Node | None, key: str) -> Mapping[str, Node]:
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        raise UserError(f"{node.origin}: {key} is {node.plain!r}, must be a mapping of names")
    return node.value
