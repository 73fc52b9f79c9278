"""From what Python users write, paths and mappings, to what workflows take."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.tree import in_yaml
from afterbert.text.token_store.store import Store

Paths = str | Path | Store | Sequence[str | Path]


def paths_of(named: Paths) -> tuple[str, ...]:
    """Returns the paths, given one or several; a store is given by its folder."""
    if isinstance(named, Store):
        return (str(named.folder),)
    if isinstance(named, (str, os.PathLike)):
        return (os.fspath(named),)
    return tuple(os.fspath(path) for path in named)


def settings_of(overrides: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Returns settings as the command line writes them, from a mapping, nested or with objects. Raises UserError.

    >>> settings_of({"masking": {"rate": 0.4}, "training.compile": True})
    [('masking.rate', '0.4'), ('training.compile', 'true')]
    """
    found: list[tuple[str, str]] = []
    for key, value in (overrides or {}).items():
        if not isinstance(key, str) or not key:
            raise UserError(f"overrides: {key!r} is no name of a setting; write a dotted path or a short name")
        plain = to_plain(value)
        if isinstance(plain, dict) and plain:
            found += [(f"{key}.{inner}", written) for inner, written in settings_of(plain)]
        else:
            found.append((key, _written(plain, key)))
    return found


def _written(value: Any, key: str) -> str:
    """A value as YAML has it on one line."""
    try:
        return in_yaml(os.fspath(value) if isinstance(value, os.PathLike) else value)
    except yaml.YAMLError:
        raise UserError(
            f"overrides: {key} is a {type(value).__name__}, which no setting takes; give a number, a text, a list, "
            "or an object of this package"
        ) from None
