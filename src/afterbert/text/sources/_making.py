"""From a file's name and loose options to the kind of source that reads it."""

import dataclasses
import os
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from afterbert.base import plugins
from afterbert.base.config import build
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.tree import Node
from afterbert.text.files import streams
from afterbert.text.language_codes import check_code
from afterbert.text.sources import Source

Option = str | int | bool | None

_PLACES = ("path", "name", "kind", "options")


@cache
def kinds_by_extension() -> dict[str, str]:
    """Returns `.txt` -> `txt` and so on, for every extension that a kind of source claims."""
    return {extension: kind for kind in plugins.names(Source) for extension in _kind(kind).extensions}


@cache
def options_of(kind: str) -> frozenset[str]:
    """Returns the options that a kind of source takes."""
    return frozenset(field.name for field in dataclasses.fields(_kind(kind)) if field.name not in _PLACES)


def _kind(name: str) -> Any:
    """The class of that name; that all of them are dataclasses that begin with a path is no part of the type."""
    return plugins.find(Source, name)


def check_options(options: Mapping[str, Any]) -> None:
    """Raises UserError for an option that no kind of source has."""
    known = sorted(set().union(*(options_of(kind) for kind in plugins.names(Source))))
    for option in options:
        if option not in known:
            raise UserError(f"no source has an option '{option}'; {did_you_mean(option, known)}")


@lru_cache(maxsize=None, typed=True)  # a folder may hold very many files
def _check_value(kind: str, option: str, value: Option) -> None:
    """Raises UserError for a value that this kind of source cannot take."""
    build(_kind(kind), Node({"path": Node("-", "-"), option: Node(value, f"--source.{option}")}, "-"), path="source")


def _language_named(path: str) -> str:
    """
    >>> _language_named("texts/de.jsonl"), _language_named("news.zh-Hant.txt.GZ")
    ('de', 'zh-Hant')
    """
    stem = os.path.basename(path[: len(path) - len(streams.packing_of(path))])
    name = os.path.splitext(stem)[0].rpartition(".")[2]
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", name):
        raise UserError(
            f"{streams.shown(path)} has no language in its name; rename it to end like .de.txt, or give the code"
        )
    try:
        return check_code(name)
    except UserError as error:
        raise UserError(f"{streams.shown(path)}: {error}") from error


def kind_of(path: str) -> str:
    """Returns the kind of source that a file's name means. Raises UserError."""
    extension = streams.extension_of(path)
    if extension in streams.ARCHIVES:
        raise UserError(f"{streams.shown(path)} is an archive, which is not opened; unpack it and name the folder")
    found = kinds_by_extension().get(extension)
    if found is None:
        known = ", ".join(sorted(kinds_by_extension()))
        what = f"the extension '{extension}'" if extension else "no extension"
        raise UserError(f"{streams.shown(path)} has {what}, known are {known} (and .gz, .zst behind); or say its kind")
    return found


def make(kind: str, path: str, options: Mapping[str, Any], **named: Any) -> Source:
    """Returns a source of this kind with those of the options that it takes. Raises UserError.

    language `by-name`: each file is called after its language, like de.jsonl or texts.de.txt.
    """
    taken = {option: value for option, value in options.items() if option in options_of(kind)}
    if taken.get("language") == "by-name":
        taken["language"] = _language_named(path)
    for option, value in taken.items():
        _check_value(kind, option, value)
    return _kind(kind)(path, **taken, **named)
