"""Planes by name, with the lists that some of them need."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from afterbert.api.terminal import console, safe
from afterbert.base.config import build
from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.tree import Node
from afterbert.text.planes import Plane
from afterbert.text.reading import read
from afterbert.text.sources import Source
from afterbert.text.token_store.coverage import coverage_of
from afterbert.text.token_store.mixture import open_store

_OPTION = {"phrase": "--phrases", "entity": "--entities"}


def planes_named(written: str, lists: Mapping[str, str | None], case: str | None, option: str) -> list[Plane]:
    """Returns the planes that an option names, separated by commas. A list given for a new store adds its plane too.
    Raises UserError."""
    names = list(dict.fromkeys(name.strip() for name in written.split(",") if name.strip()))
    given = {name: path for name, path in lists.items() if path is not None}
    for name in given:
        if name not in names and option == "--add-plane":
            raise UserError(f"{_OPTION[name]} is for the plane {name}; write --add-plane {name}")
    names += [name for name in given if name not in names]
    for name in names:
        if name in lists and name not in given:
            raise UserError(
                f"the plane {name} needs a list; give {_OPTION[name]} FILE (`afterbert mine-phrases` makes one)"
            )
    if case is not None and not given:
        raise UserError("--list-case has no effect without --phrases or --entities; leave it out")
    return [_built(name, given.get(name), case, option) for name in names]


def _built(name: str, file: str | None, case: str | None, option: str) -> Plane:
    if file is None:
        return build(Plane, Node({"type": Node(name, option)}, option))
    origin = _OPTION[name]
    settings = {"type": Node(name, origin), "file": Node(file, origin)}
    if case is not None:
        settings["case"] = Node(case, "--list-case")
    return build(Plane, Node(settings, origin))


def print_coverage(store: Path, planes: Sequence[Plane]) -> None:
    """Prints how much of the text lies in the units of these planes, for planes that do not cover it."""
    for plane in planes:
        if plane.width > 1:
            console.print(safe(str(coverage_of(open_store(store), name_of(plane)))))


def print_beginning(sources: Sequence[Source]) -> None:
    """Prints how the pieces of a token file read as text. Only a reader can tell whether the tokenizer is the one that
    made them."""
    document = next(iter(read(sources)), None)
    if document is not None:
        console.print(safe(f"{document.id} begins: {' '.join(document.text[:200].split())}"))
