"""Options of a verb that become objects."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from afterbert.base.config import build
from afterbert.base.tree import Node, override
from afterbert.text.files.policy import Policy
from afterbert.workflows.text_options import TextOptions


def built(kind: Any, given: Mapping[str, Any], option: str | None = None) -> Any:
    """Returns a config from options that are named as its fields, as far as they are given; option: how the user wrote
    them, where it was otherwise. Raises UserError that names the option."""
    said = {name: value for name, value in given.items() if value is not None}
    nodes = {name: Node(value, option or f"--{name.replace('_', '-')}") for name, value in said.items()}
    return build(kind, Node(nodes, "options"))


def text_options(given: Mapping[str, Any], settings: Sequence[tuple[str, str]]) -> TextOptions:
    """Returns how texts are read, from a verb's options by name and from settings such as `policy.max_run_length`
    and `source.split`. Raises UserError that names the option."""
    names = [field.name for field in fields(Policy)]
    said = {name: given[name] for name in names if given.get(name) is not None}
    tree = Node({name: Node(value, f"--{name.replace('_', '-')}") for name, value in said.items()}, "default")
    tree = Node({"policy": tree, "source": Node({}, "default")}, "default")
    for key, value in settings:
        tree = override(tree, key, value)
    others = [field.name for field in fields(TextOptions) if field.name in given]
    return TextOptions(
        policy=build(Policy, tree.value["policy"]),
        source=tree.value["source"].plain,
        **{name: given[name] for name in others if name not in ("policy", "lang", "switch")},
        lang=tuple(given.get("lang") or ()),
        switch=tuple(given.get("switch") or ()),
    )


def divided(settings: Sequence[tuple[str, str]], *heads: str) -> tuple[list[tuple[str, str]], ...]:
    """Divides settings by what their dotted paths begin with: a list for each head, then the others.

    >>> divided([("a.b", "1"), ("c", "2")], "a")
    ([('a.b', '1')], [('c', '2')])
    """
    of_head = [[one for one in settings if one[0].partition(".")[0] == head] for head in heads]
    return (*of_head, [one for one in settings if one[0].partition(".")[0] not in heads])
