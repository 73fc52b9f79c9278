"""YAML as a tree that remembers where each value was written, so that every later complaint can name file and line.

Only the plain part of YAML is read: mappings, lists, scalars. Numbers follow what people mean (`3e-4` is a number,
which PyYAML reads as a string), `yes` and `no` are words, a key written twice, an alias or a tag is refused.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_text

_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")
}
_MAX_BYTES = 200_000
_MOST_DIGITS = 40  # longer ones are no numbers, and Python takes long to read them
_MOST_LEVELS = 50
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may be built without


@dataclass(frozen=True)
class Node:
    """A value and its origin (`file:line`, or `--the.option`). The value is a scalar, a dict of nodes or a
    list of nodes."""

    value: Any
    origin: str

    @property
    def plain(self) -> Any:
        """The value without origins."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value


def scalar(written: str) -> Any:
    """Returns the value of an unquoted YAML scalar.

    >>> scalar("3e-4"), scalar("12"), scalar("true"), scalar("yes"), scalar("1_000"), scalar("null")
    (0.0003, 12, True, 'yes', 1000, None)
    """
    if written.lower() in _WORDS:
        return _WORDS[written.lower()]
    if len(written) > _MOST_DIGITS:
        return written
    if _INT.fullmatch(written):
        return int(written.replace("_", ""))
    if _FLOAT.fullmatch(written):
        return float(written.replace("_", ""))
    return written


def read(path: Path, *, label: str | None = None, ours: bool = False) -> Node:
    """Returns the tree of a YAML file. `ours` says that afterbert brought the file along, so that it is sound and may
    be read by the parser in C, which is ten times as fast but has no limit of depth. Raises UserError naming file and
    line."""
    text = read_text(path, most=_MAX_BYTES)
    return parse(text, label=label or str(path), loader=_FAST if ours else yaml.SafeLoader)


def parse(text: str, *, label: str, loader: Any = yaml.SafeLoader) -> Node:
    """Returns the tree of a YAML text; `label` is its name in origins. Raises UserError with all mistakes at once.

    >>> parse("a: {b: 3e-4}", label="x.yaml").value["a"].value["b"]
    Node(value=0.0003, origin='x.yaml:1')
    """
    try:
        documents = list(yaml.compose_all(text, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{label}:{mark.line + 1}" if mark else label
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        tab = "; indent with spaces, not tabs" if "'\\t'" in problem else "; mend the YAML there"
        raise UserError(f"{where}: {problem}{tab}") from error
    except RecursionError:
        raise UserError(_too_deep(label)) from None
    if len(documents) > 1:
        raise UserError(f"{label}:{documents[1].start_mark.line + 1}: a second document begins; keep one per file")
    if not documents or documents[0] is None:
        return Node({}, f"{label}:1")
    problems: list[str] = []
    tree = _convert(documents[0], label, problems, seen=set(), level=0)
    if problems:
        raise UserError(*problems)
    return tree


def _too_deep(origin: str) -> str:
    return f"{origin}: is nested more than {_MOST_LEVELS} levels deep; a recipe has a dozen"


def _convert(node: yaml.Node, label: str, problems: list[str], seen: set[int], level: int) -> Node:
    origin = f"{label}:{node.start_mark.line + 1}"
    if level > _MOST_LEVELS:
        raise UserError(_too_deep(origin))
    if id(node) in seen:
        problems.append(f"{origin}: an alias (*name) is not allowed; write the value out")
        return Node(None, origin)
    seen.add(id(node))
    if node.tag not in _TAGS:
        problems.append(f"{origin}: the tag '{node.tag}' is not allowed; write a plain value")
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Node] = {}
        for key, value in node.value:
            line = f"{label}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                problems.append(f"{line}: a key must be a word")
                continue
            if key.value in found:
                first = found[key.value].origin
                problems.append(f"{line}: '{key.value}' is written twice (first at {first}); keep one")
            converted = _convert(value, label, problems, seen, level + 1)
            found[key.value] = Node(converted.value, line)
        return Node(found, origin)
    if isinstance(node, yaml.SequenceNode):
        return Node([_convert(item, label, problems, seen, level + 1) for item in node.value], origin)
    assert isinstance(node, yaml.ScalarNode)
    return Node(scalar(node.value) if not node.style else node.value, origin)


def located(plain: Any, origin: str) -> Node:
    """Makes a tree of plain dicts, lists and scalars, every value from `origin`.

    >>> located({"a": [1]}, "code").value["a"].value
    [Node(value=1, origin='code')]
    """
    if isinstance(plain, dict):
        return Node({key: located(value, origin) for key, value in plain.items()}, origin)
    if isinstance(plain, list):
        return Node([located(value, origin) for value in plain], origin)
    return Node(plain, origin)


def in_yaml(value: Any) -> str:
    """Returns a value as one line of YAML, which `override` reads again. Raises yaml.YAMLError for a value that YAML
    cannot write.

    >>> in_yaml({"type": "mask", "rate": 0.4}), in_yaml("word"), in_yaml(None)
    ('{type: mask, rate: 0.4}', 'word', 'null')
    """
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1_000_000)
    return text.removesuffix("\n").removesuffix("...").strip()


def merge(base: Node, over: Node) -> Node:
    """Returns `over` laid on `base`: mappings are merged key by key, everything else is replaced. A mapping that names
    another `type` than the base replaces the whole node, since the old one's settings mean nothing to it.

    >>> a, b = parse("{x: {type: p, u: 1}, y: 2}", label="a"), parse("x: {type: q}", label="b")
    >>> merge(a, b).plain
    {'x': {'type': 'q'}, 'y': 2}
    """
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    old, new = base.value.get("type"), over.value.get("type")
    if new is not None and (old is None or old.value != new.value):
        return over
    merged = dict(base.value)
    for key, node in over.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return Node(merged, over.origin)


def override(base: Node, dotted: str, written: str, origin: str | None = None) -> Node:
    """Returns `base` with the value at a dotted path replaced, as the command line does: `model.num_hidden_layers`,
    `4`. origin: where the value comes from, if not from the command line.

    >>> override(parse("a: {b: 1}", label="x"), "a.b", "2").value["a"].value["b"]
    Node(value=2, origin='--a.b')
    """
    origin = origin or f"--{dotted}"
    leaf = located(parse(written, label=origin).plain if written.startswith(("[", "{")) else scalar(written), origin)
    if dotted.count(".") > _MOST_LEVELS:
        raise UserError(_too_deep(f"{origin[:60]}..."))
    for key in reversed(dotted.split(".")):
        if not key:
            raise UserError(f"{origin}: has an empty part; write --node.key VALUE")
        leaf = Node({key: leaf}, origin)
    return _lay(base, leaf)


def _lay(base: Node, over: Node) -> Node:
    """Like `merge`, and a list's item can be named by its number (`edits.0.selection.rate`)."""
    if isinstance(base.value, list) and isinstance(over.value, dict) and all(key.isdigit() for key in over.value):
        items = list(base.value)
        for key, node in over.value.items():
            if int(key) >= len(items):
                raise UserError(f"{over.origin}: there is no item {key}; the list has {len(items)}, numbered from 0")
            items[int(key)] = _lay(items[int(key)], node)
        return Node(items, over.origin)
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        new = over.value.get("type")
        if new is not None and "type" in base.value and base.value["type"].value != new.value:
            return over
        merged = dict(base.value)
        for key, node in over.value.items():
            merged[key] = _lay(merged[key], node) if key in merged else node
        return Node(merged, base.origin)
    if isinstance(base.value, dict) and isinstance(over.value, str):
        return Node({"type": over}, over.origin)
    if isinstance(base.value, str) and isinstance(over.value, dict):
        return _lay(Node({"type": base}, base.origin), over)
    return over
