"""From a tree of located values to frozen dataclasses, and back. All mistakes are reported at once, each
with its place.

A field's type decides how its value is read: scalars and `Annotated` ranges are checked by pydantic; a
dataclass is a mapping; the abstract class of a plug-in folder is a mapping with `type: name` (or the bare
name); a class with `parse` reads a string.
"""

import dataclasses
import hashlib
import inspect
import json
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from afterbert.base import plugins
from afterbert.base.errors import UserError, did_you_mean, shown
from afterbert.base.tree import Node

T = TypeVar("T")

_LARGEST = 1e18  # no setting comes near; beyond, numbers are no longer whole in floating point, or do not fit elsewhere


def build(kind: type[T], tree: Node, *, path: str = "") -> T:
    """Returns an instance of the dataclass (or plug-in interface) `kind` from a tree. Raises one UserError with every
    mistake."""
    problems: list[str] = []
    made = _make(kind, tree, path, problems)
    if problems:
        raise UserError(*problems)
    return made


def to_plain(thing: Any) -> Any:
    """Returns a config as plain dicts, lists and scalars, the inverse of `build`. Defaults are written out, and
    plug-ins have their `type`.

    >>> to_plain({"a": (1, 2)})
    {'a': [1, 2]}
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        if hasattr(thing, "parse"):
            return str(thing)
        head = {"type": plugins.name_of(thing)} if _is_plugin(type(thing)) else {}
        return head | {f.name: to_plain(getattr(thing, f.name)) for f in dataclasses.fields(thing) if f.init}
    if isinstance(thing, Mapping):
        return {key: to_plain(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [to_plain(value) for value in thing]
    return thing


def digest(thing: Any, *, length: int = 12) -> str:
    """Returns a name for a config by its content: the start of the sha256 of its plain form."""
    canonical = json.dumps(to_plain(thing), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


def differences(before: Any, after: Any, *, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Compares two plain configs: dotted path -> (value before, value after), for every leaf in which they differ.

    Paths are those of overrides, so an item of a list is named by its number. What only one side has is None on the
    other.

    >>> differences({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 3, "c": 2}, {"b": 4}]})
    {'a.0.b': (1, 3), 'a.1': (None, {'b': 4})}
    """
    if isinstance(before, list) and isinstance(after, list):
        before, after = (dict(enumerate(items)) for items in (before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in [*before, *(k for k in after if k not in before)]:
            found |= differences(before.get(key), after.get(key), path=_join(path, str(key)))
        return found
    return {} if before == after else {path: (before, after)}


@cache
def _is_plugin(cls: type) -> bool:
    return any(plugins.is_interface(parent) for parent in cls.__mro__[1:] if parent is not object)


def _make(kind: Any, node: Node, path: str, problems: list[str]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _make_union(arguments, node, path, problems)
    if origin is tuple and isinstance(node.value, list):
        inner = arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
        kinds = [inner] * len(node.value) if inner is not None else list(arguments)
        if len(kinds) != len(node.value):
            return _complain(problems, node, path, f"has {len(node.value)} items, needs {len(kinds)}")
        return tuple(_make(k, child, f"{path}.{i}", problems) for i, (k, child) in enumerate(zip(kinds, node.value)))
    if origin in (dict, Mapping) and isinstance(node.value, dict):
        return {key: _make(arguments[1], child, _join(path, key), problems) for key, child in node.value.items()}
    if origin in (tuple, dict, Mapping):
        form = "a list of settings" if origin is tuple else "a mapping of settings"
        return _complain(problems, node, path, f"is {shown(node.plain)}, must be {form}")
    if inspect.isclass(kind) and hasattr(kind, "parse"):
        try:
            return kind.parse(str(node.value))
        except UserError as error:
            return _complain(problems, node, path, str(error), glue=": ")
    if plugins.is_interface(kind):
        return _make_plugin(kind, node, path, problems)
    if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
        if not isinstance(node.value, dict):
            return _complain(problems, node, path, f"is {shown(node.plain)}, must be a mapping of settings")
        return _make_dataclass(kind, node.value, node, path, problems)
    return _make_leaf(kind, node, path, problems)


def _make_union(arguments: tuple[Any, ...], node: Node, path: str, problems: list[str]) -> Any:
    kinds = [a for a in arguments if a is not type(None)]
    if node.value is None and len(kinds) < len(arguments):
        return None
    for kind in kinds[:-1]:
        attempt: list[str] = []
        made = _make(kind, node, path, attempt)
        if not attempt:
            return made
    return _make(kinds[-1], node, path, problems)


def _make_plugin(interface: type, node: Node, path: str, problems: list[str]) -> Any:
    if isinstance(node.value, str):
        name, rest = node.value, {}
    elif isinstance(node.value, dict) and "type" in node.value:
        name = str(node.value["type"].plain)
        rest = {key: child for key, child in node.value.items() if key != "type"}
    else:
        known = ", ".join(plugins.names(interface))
        return _complain(problems, node, path, f"needs a `type`, one of: {known}")
    try:
        cls = plugins.find(interface, name)
    except UserError as error:
        return _complain(problems, node, path, str(error), glue=": ")
    return _make_dataclass(cls, rest, node, path, problems)


def _make_dataclass(cls: type, found: dict[str, Node], node: Node, path: str, problems: list[str]) -> Any:
    hints = field_types(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    before = len(problems)
    values = {}
    for key, child in found.items():
        if key in fields:
            values[key] = _make(hints[key], child, _join(path, key), problems)
        else:
            _complain(problems, child, _join(path, key), f"is not a setting; {did_you_mean(key, list(fields))}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in found:
            _complain(problems, node, _join(path, name), "is missing; write it")
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except UserError as error:
        key, _, what = str(error).partition(" ")
        if key in found:  # the complaint begins with the setting that is wrong
            return _complain(problems, found[key], _join(path, key), what)
        return _complain(problems, node, path, str(error), glue=": ")


def _make_leaf(kind: Any, node: Node, path: str, problems: list[str]) -> Any:
    if isinstance(node.value, (dict, list)):
        return _complain(problems, node, path, f"is {shown(node.plain)}, must be a single value")
    if isinstance(node.value, (int, float)) and abs(node.value) > _LARGEST:
        return _complain(problems, node, path, f"is {shown(node.value)}, must be at most {_LARGEST:.0e} in size")
    if kind is bool and isinstance(node.value, str) and node.value.lower() in ("yes", "no", "on", "off"):
        return _complain(problems, node, path, f"is the word '{node.value}'; write true or false")
    if isinstance(node.value, bool) and kind is not bool and bool not in typing.get_args(kind):
        return _complain(problems, node, path, f"is {str(node.value).lower()}, must be {_spoken(kind)}")
    try:
        return _adapter(kind).validate_python(node.value)
    except ValidationError as error:
        rule = error.errors()[0]["msg"].removeprefix("Input should be ")
        return _complain(problems, node, path, f"is {shown(node.value)}, must be {rule}")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))


@cache
def field_types(cls: type) -> dict[str, Any]:
    """Returns field name -> resolved type; `Annotated` is kept."""
    return typing.get_type_hints(cls, include_extras=True)


def _spoken(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a word"}
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    return names.get(inner, str(inner))


def _complain(problems: list[str], node: Node, path: str, what: str, *, glue: str = " ") -> None:
    option = node.origin.removeprefix("--")
    if option == node.origin:
        at = f"{node.origin}: {path}" if path else node.origin
        glue = glue if path else ": "
    elif path.startswith(f"{option}."):  # a part of a mapping that the option was given
        at = f"{node.origin}: {path.removeprefix(option)[1:]}"
    elif "." in node.origin and node.origin != f"--{path}":  # a short name stands for another path
        at = f"{node.origin} ({path})"
    else:
        at = node.origin
    problems.append(f"{at}{glue}{what}")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
