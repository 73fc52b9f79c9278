"""From paths and loose options, as a user writes them, to sources."""

import os
import warnings
from collections.abc import Iterable
from typing import Any

from afterbert.base import plugins
from afterbert.base.errors import UserError, did_you_mean
from afterbert.text.files import streams
from afterbert.text.sources import Source
from afterbert.text.sources._making import check_options, kind_of, kinds_by_extension, make, options_of
from afterbert.text.sources.folder import Folder
from afterbert.text.sources.stdin import Stdin
from afterbert.text.tokenizers import TokenizerRecipe


def sources_for(
    paths: Iterable[str], *, kind: str | None = None, tokenizer: str | None = None, **options: Any
) -> list[Source]:
    """Returns one source for each path: a file (its kind guessed from the extension unless `kind` names it), a folder,
    `-` for standard input or `hub:NAME`. `options` go to every source that has them; None means not given; `tokenizer`
    goes to token files, in place of the one they name. Raises UserError, and warns of an option that no source here
    has."""
    given = {option: value for option, value in options.items() if value is not None}
    check_options(given)
    asked = given | ({"tokenizer": tokenizer} if tokenizer is not None else {})
    known = sorted(set(kinds_by_extension().values()))
    if kind is not None and kind not in known:
        raise UserError(f"no kind of file is called '{kind}'; {did_you_mean(kind, known)}")
    paths = list(paths)
    found = [_source(path, kind, asked, name=_title(path, paths)) for path in paths]
    used = {option for source in found for file in _files(source) for option in options_of(plugins.name_of(file))}
    for option in given:
        if option not in used:
            warnings.warn(f"the option '{option}' has no effect: no source here takes it", stacklevel=2)
    return found


def piece_recipe_of(sources: Iterable[Source]) -> TokenizerRecipe | None:
    """Returns the recipe of the tokenizer whose pieces the first token file among these holds; None if there is none.
    Raises UserError."""
    found = (file.piece_recipe for source in sources for file in _files(source))
    return next((recipe for recipe in found if recipe is not None), None)


def _source(path: str, kind: str | None, options: dict[str, Any], *, name: str) -> Source:
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
    if isinstance(source, Folder):
        return source.files()[0]
    return [make(source.kind, "-", source.options)] if isinstance(source, Stdin) else [source]
