"""Methods as the command line writes them: `layers:keep=4`, `low_rank:keep=0.5,weighted=true`, `quantize:dynamic`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from afterbert.base.config import build, to_plain
from afterbert.base.errors import UserError
from afterbert.base.plugins import find, name_of
from afterbert.base.tree import Node, scalar
from afterbert.compression.methods import Method
from afterbert.compression.subject import Form


def parse(written: str) -> Method:
    """Reads one method: its name and, after a colon, its settings; a word alone is the first setting. Raises UserError.

    >>> parse("layers:keep=4")
    Layers(keep=4, drop='top')
    >>> parse("layers:4,drop=symmetric") == parse("layers:keep=4,drop=symmetric")
    True
    """
    name, _, rest = written.partition(":")
    origin = f"--with {written}"
    kind: Any = find(Method, name.strip().replace("-", "_"))
    first = next((field.name for field in dataclasses.fields(kind)), "")
    given: dict[str, Node] = {"type": Node(name.strip().replace("-", "_"), origin)}
    for number, part in enumerate(filter(None, rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            if number or not first:
                raise UserError(f"{origin}: '{part}' is no setting; write key=value")
            key, value = first, part
        if key.strip() in given:
            raise UserError(f"{origin} says {key.strip()} twice; leave one out")
        given[key.strip()] = Node(scalar(value.strip()), origin)
    found: Method = build(Method, Node(given, origin))
    return found


def written(method: Method) -> str:
    """Returns the shortest way to write a method, which `parse` reads back.

    >>> written(parse("layers:4,drop=top"))
    'layers:keep=4'
    """
    plain, usual = to_plain(method), to_plain(type(method)())
    changed = {key: value for key, value in plain.items() if value != usual[key]}
    said = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in changed.items()]
    name = name_of(method)
    return f"{name}:{','.join(said)}" if said else name


def check_all(form: Form, methods: Sequence[Method]) -> Form:
    """Says what form the model will have after all methods, before any work is done. Raises UserError if a method does
    not fit what stands before it."""
    for method in methods:
        form = method.check(form)
    return form
