"""Where a folder or file lies that another one needs, so that it is found again from anywhere and after a move."""

import os
from collections.abc import Mapping
from pathlib import Path


def remembered(path: Path, *, by: Path) -> dict[str, str]:
    """Returns the place of `path` for a file in the folder `by`: in full, and relative to that folder, which stays
    right when both are moved together."""
    there = path.resolve()
    return {"path": str(there), "from_here": os.path.relpath(there, by.resolve())}


def where(place: Mapping[str, str], *, by: Path) -> list[Path]:
    """Returns the places where a remembered path may be now, the likeliest first; `by` is the folder that remembers it.

    >>> where({"path": "/old/stores/a", "from_here": "../stores/a"}, by=Path("runs/r"))
    [PosixPath('runs/r/../stores/a'), PosixPath('/old/stores/a')]
    """
    return [by / place["from_here"], Path(place["path"])]
