"""A resolved recipe as a list of values, each with its origin: what recipe.yaml holds, ready to be shown."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from afterbert.base.errors import UserError
from afterbert.base.tree import Node, read

Chooser = Literal["command line", "size", "recipe", "default", ""]

_COMMENT = re.compile(r".*\s#\s(\S.*)")  # the last one: a value may hold the sign too


@dataclass(frozen=True)
class Value:
    """One line of a resolved recipe. A node that only holds others has no value (`is_leaf` is False).

    chooser: who decided it; origin: where exactly, as the recipe's comment says.
    """

    path: str
    depth: int
    key: str
    value: Any = None
    is_leaf: bool = True
    origin: str = ""
    chooser: Chooser = ""


def read_recipe(path: Path) -> tuple[Value, ...]:
    """The values of a recipe in the order of the file; empty where the file is absent. Raises UserError."""
    if not path.exists():
        return ()
    tree = read(path)
    if not isinstance(tree.value, dict):
        raise UserError(f"{path}: is no mapping of settings; restore the recipe.yaml this run was made by")
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    settings = {key: node for key, node in tree.value.items() if key != "names"}  # how to say them, no settings
    return tuple(_values(Node(settings, tree.origin), "", 0, lines))


def _values(node: Node, path: str, depth: int, lines: list[str]) -> list[Value]:
    children = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
    found: list[Value] = []
    for key, child in children:
        at = f"{path}.{key}" if path else str(key)
        if isinstance(child.value, (dict, list)) and child.value:
            found.append(Value(at, depth, str(key), is_leaf=False))
            found += _values(child, at, depth + 1, lines)
            continue
        origin = _origin(child, lines)
        found.append(Value(at, depth, str(key), child.value, origin=origin, chooser=_chooser(origin)))
    return found


def _origin(node: Node, lines: list[str]) -> str:
    """The comment at the end of the line in which the value stands."""
    number = int(node.origin.rpartition(":")[2])
    comment = _COMMENT.fullmatch(lines[number - 1]) if number <= len(lines) else None
    return comment[1].strip() if comment else ""


def _chooser(origin: str) -> Chooser:
    """
    >>> _chooser("--model.hidden_size"), _chooser("laptop.yaml:31 (size tiny)"), _chooser("laptop.yaml:4")
    ('command line', 'size', 'recipe')
    """
    if origin.startswith("--"):
        return "command line"
    if origin.startswith("size ") or "(size " in origin:
        return "size"
    if origin == "default":
        return "default"
    return "recipe" if origin else ""
