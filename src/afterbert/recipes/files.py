"""Recipe files as they are written: which come along, what each says, and what it extends. Nothing is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from importlib import resources
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError, did_you_mean, near_file
from afterbert.base.small_files import check_regular
from afterbert.base.tree import Node, merge, parse, read

_FOLDER = "afterbert.recipes"
_ROWS = parse("{length: 0, training: {batch_size: 0, micro_batch_size: 0}}", label="rows")


@dataclass(frozen=True)
class Layer:
    """The content of one recipe file, without what it extends; `size` is None if the file names none."""

    values: Node
    sizes: Mapping[str, Node]
    size: Node | None
    names: Mapping[str, Node]


@dataclass(frozen=True)
class Heading:
    """The entry of a recipe in a list: its title, the paper it follows and its sizes, smallest first."""

    title: str
    paper: str | None
    sizes: tuple[str, ...]


def known() -> list[str]:
    """Returns the names of the recipes that afterbert brings along."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in resources.files(_FOLDER).iterdir() if entry.name.endswith(".yaml")
    )


def heading_of(name: str) -> Heading:
    """Reads the heading of the recipe called `name` (or of a path to a YAML file) from its files alone, so that a list
    of all recipes needs no PyTorch. Raises UserError if a file cannot be read."""
    said = {key: node.plain for layer in layers_of(name) for key, node in layer.values.value.items()}
    paper = said.get("paper")
    return Heading(str(said.get("title", name)), None if paper is None else str(paper), sizes_of(name))


def sizes_of(name: str) -> tuple[str, ...]:
    """Returns the sizes that a recipe offers, in the order of its files, smallest first."""
    return tuple(dict.fromkeys(size for layer in layers_of(name) for size in layer.sizes))


def layers_of(name: str, chain: tuple[str, ...] = ()) -> list[Layer]:
    """Returns the content of the file of the recipe called `name` (or at a path), preceded by that of the files that it
    extends, the farthest first. `chain` holds the names that led here. Raises UserError."""
    if name in chain:
        raise UserError(f"recipe '{name}' extends itself ({' > '.join((*chain, name))}); remove one `extends`")
    if name.endswith((".yaml", ".yml")):
        path, label, reader = Path(name), name, read
        check_regular(path)
        if not path.is_file():
            cure = near_file(path, f"check the path, or name one of: {', '.join(known())}")
            raise UserError(f"recipe file {name} does not exist; {cure}")
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


def usual_size(layers: Sequence[Layer]) -> str | None:
    """Returns the size to take when nobody asks for one. Raises UserError."""
    stated = next((layer.size for layer in reversed(layers) if layer.size is not None), None)
    if stated is not None and not isinstance(stated.value, str | None):
        raise UserError(f"{stated.origin}: size is {stated.plain!r}, must be the name of one of the `sizes`")
    return stated.value if stated is not None else None


def sized(layers: Sequence[Layer], size: str | None, *, asked: str | None, fitted: str | None, name: str) -> Node:
    """Returns all layers with the entries of a size. A size that was asked for goes over everything, else each entry
    goes below what the files that extend its own state themselves. A size fitted to a budget is compared with others on
    equal rows, so it brings none of its own."""
    tree = reduce(merge, [layer.values for layer in layers])
    if size is None:
        return tree
    listed = list(dict.fromkeys(key for layer in layers for key in layer.sizes))
    if size not in listed:
        raise UserError(f"recipe '{name}' has no size '{size}'; {did_you_mean(size, listed)}")
    for number, layer in enumerate(layers):
        entry = layer.sizes.get(size)
        if fitted and not asked:
            entry = entry and without(entry, _ROWS)
        for later in layers[number + 1 :] if not asked else ():
            entry = entry and without(entry, later.values)
        if entry:
            tree = merge(tree, _named(entry, f"size {size}"))
    return tree


def without(entry: Node, stated: Node) -> Node | None:
    """Returns the settings of a size that `stated` does not have; None if none are left.

    >>> entry, stated = parse("{a: {b: 1, c: 2}, d: 3}", label="x"), parse("{a: {c: 9}, d: 4}", label="y")
    >>> without(entry, stated).plain
    {'a': {'b': 1}}
    """
    if not (isinstance(entry.value, dict) and isinstance(stated.value, dict)):
        return None
    type_before, type_now = entry.value.get("type"), stated.value.get("type")
    if type_before is not None and type_now is not None and type_before.value != type_now.value:
        return None
    left = {
        key: without(child, stated.value[key]) if key in stated.value else child for key, child in entry.value.items()
    }
    kept = {key: child for key, child in left.items() if child is not None}
    return Node(kept, entry.origin) if kept else None


def _named(node: Node, prefix: str) -> Node:
    """The same tree; origins tell that a value came with the size."""
    value: Any = node.value
    if isinstance(value, dict):
        value = {key: _named(child, prefix) for key, child in value.items()}
    return Node(value, f"{node.origin} ({prefix})")


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
