"""What a cell of text holds: a list or an object, as pandas writes them into tables."""

import ast
import json
import re
import warnings
from typing import Any

# What lists and objects are made of as Python and numpy write them.
_LITERAL = re.compile(
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|\b(array)(?=\()|(,\s*dtype=[^()]*(?=\)))|\b(nan)\b"""
    r"""|(?<=['"\d.])(\s+)(?=['"\d-])"""
)
_HALF = re.compile("[\ud800-\udfff]")


def held_in(value: Any) -> Any:
    """Returns the list or object that a cell of text holds as Python, JSON or numpy write it; any other value as it is.

    >>> held_in("['a', 'b']"), held_in("['a' 'b']"), held_in("[0 1]"), held_in("('a',)"), held_in("[1] a")
    (['a', 'b'], ['a', 'b'], [0, 1], ['a'], '[1] a')
    >>> held_in("{'text': array(['a'], dtype=object), 'at': array([7])}"), held_in('{"a": null}')
    ({'text': ['a'], 'at': [7]}, {'a': None})
    """
    if not isinstance(value, str) or value.strip()[:1] + value.strip()[-1:] not in ("[]", "()", "{}"):
        return value
    try:
        found = whole(json.loads(value, parse_constant=lambda name: None))
    except (ValueError, RecursionError):
        text = _LITERAL.sub(lambda m: m[1] or (", " if m[5] else "None" if m[4] else ""), value.strip())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes
                found = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return value
    if isinstance(found, (list, tuple, set)) or found == {}:
        return sorted(found, key=str) if isinstance(found, set) else list(found)
    return found if isinstance(found, dict) else value


def whole(value: Any) -> Any:
    """Returns a value of JSON with U+FFFD for half characters (lone surrogates), such as end a text that was cut: no
    tokenizer takes them, and no file."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [whole(one) for one in value]
    return {name: whole(one) for name, one in value.items()} if isinstance(value, dict) else value
