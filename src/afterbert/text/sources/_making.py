"""From a path and loose options to a source."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from afterbert.base import plugins
from afterbert.base.errors import UserError, did_you_mean
from afterbert.text import streams
from afterbert.text.sources import Source

Option = str | int | bool | None

_PLACES = ("path", "name", "kind", "options")


@cache
def kinds_by_extension() -> dict[str, str]:
    """`.txt` -> `txt`, for every extension that a kind of source claims."""
    return {extension: kind for kind in plugins.names(Source) for extension in _kind(kind).extensions}


@cache
def options_of(kind: str) -> frozenset[str]:
    """The options that a kind of source takes."""
    return frozenset(field.name for field in dataclasses.fields(_kind(kind)) if field.name not in _PLACES)  # type: ignore[arg-type]


def _kind(name: str) -> type[Source]:
    return plugins.find(Source, name)


def check_options(options: Mapping[str, Any]) -> None:
    """Raises UserError for an option that no kind of source has."""
    known = sorted(set().union(*(options_of(kind) for kind in plugins.names(Source))))
    for option in options:
        if option not in known:
            raise UserError(f"no source has an option '{option}'; {did_you_mean(option, known)}")


def kind_of(path: str) -> str:
    """The kind of source that a file's name means. Raises UserError."""
    extension = streams.extension_of(path)
    if extension in streams.ARCHIVES:
        raise UserError(
            f"{streams.shown(path)} is an archive, which is not opened; unpack it and name the folder"
        )
    found = kinds_by_extension().get(extension)
    if found is None:
        known = ", ".join(sorted(kinds_by_extension()))
        what = f"the extension '{extension}'" if extension else "no extension"
        raise UserError(
            f"{streams.shown(path)} has {what}, known are {known} (and .gz, .zst behind); or say its kind"
        )
    return found


def make(kind: str, path: str, options: Mapping[str, Any], **named: Any) -> Source:
    """A source of this kind with those of the options that it takes. Raises UserError."""
    taken = {option: value for option, value in options.items() if option in options_of(kind)}
    return _kind(kind)(path, **taken, **named)  # type: ignore[call-arg]


def sources_for(paths: Iterable[str], *, kind: str | None = None, **options: Any) -> list[Source]:
    """One source for each path: a file (its kind guessed from the extension unless `kind` says it), a
    folder, `-` for standard input or `hub:NAME`. `options` go to every source that has them; None means not
    given. Raises UserError, and warns of an option that no source here has."""
    given = {option: value for option, value in options.items() if value is not None}
    check_options(given)
    known = sorted(set(kinds_by_extension().values()))
    if kind is not None and kind not in known:
        raise UserError(f"no kind of file is called '{kind}'; {did_you_mean(kind, known)}")
    paths = list(paths)
    found = [_source(path, kind, given, name=_title(path, paths)) for path in paths]
    used = {
        option for source in found for file in _files(source) for option in options_of(plugins.name_of(file))
    }
    for option in given:
        if option not in used:
            warnings.warn(f"the option '{option}' has no effect: no source here takes it", stacklevel=2)
    return found


def _source(path: str, kind: str | None, options: dict[str, Any], *, name: str) -> Source:
    from afterbert.text.sources.folder import Folder
    from afterbert.text.sources.stdin import Stdin

    if path == "-":
        return Stdin(kind=kind or "txt", options=options)
    if path.startswith("hub:"):
        return make("hub", path.removeprefix("hub:"), options)
    if os.path.isdir(path):
        return Folder(path, name=name, kind=kind, options=options)
    streams.size_of(path)
    return make(kind or kind_of(path), path, options, name=name)


def _title(path: str, paths: list[str]) -> str:
    """The last part of a path, or all of it where two paths end alike."""
    ends = [os.path.basename(os.path.abspath(other)) for other in paths]
    end = os.path.basename(os.path.abspath(path))
    return end if ends.count(end) == 1 else path


def _files(source: Source) -> list[Source]:
    """The sources that options reach in the end."""
    from afterbert.text.sources.folder import Folder
    from afterbert.text.sources.stdin import Stdin

    if isinstance(source, Folder):
        return source.files()[0]
    return [make(source.kind, "-", source.options)] if isinstance(source, Stdin) else [source]
