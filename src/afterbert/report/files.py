"""What lies in a run folder, and how its model is loaded."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.run_files import RUN_FILES
from afterbert.report import figures

_MOST_ENTRIES = 10_000
_OURS = ("report.html", "report.md")


@dataclass(frozen=True)
class Entry:
    """A file or folder of the run."""

    name: str
    size: str
    purpose: str


def entries_of(folder: Path) -> tuple[Entry, ...]:
    """The visible files and folders, a folder with the size of all in it. Links are not followed."""
    with os.scandir(folder) as found:
        entries = sorted((e for e in found if not e.name.startswith(".") and e.name not in _OURS), key=lambda e: e.name)
    return tuple(
        Entry(
            entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""),
            figures.size(_bytes(entry)),
            RUN_FILES[entry.name].purpose if entry.name in RUN_FILES else "",
        )
        for entry in entries[:_MOST_ENTRIES]
        if not entry.is_symlink()
    )


def loading(folder: Path) -> tuple[str, ...]:
    """Three lines of Python that load the model; empty where there is none yet."""
    config = folder / "model" / "config.json"
    try:
        architectures = json.loads(config.read_bytes()).get("architectures") or [""]
        head = str(architectures[0]).rpartition("For")[2]
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return ()
    cls = f"AutoModelFor{head}" if head in ("MaskedLM", "CausalLM") else "AutoModel"
    # As a person would type it from here; never the whole path of a home folder in a file that is passed on.
    place = folder if not folder.is_absolute() else Path(folder.name)
    path = str((place if place.name else Path(folder.resolve().name)) / "model")
    return (
        f"from transformers import {cls}, AutoTokenizer",
        f"tokenizer = AutoTokenizer.from_pretrained({path!r})",
        f"model = {cls}.from_pretrained({path!r})",
    )


def _bytes(entry: os.DirEntry[str]) -> int:
    if not entry.is_dir(follow_symlinks=False):
        return entry.stat(follow_symlinks=False).st_size
    total, seen = 0, 0
    for where, _, names in os.walk(entry.path, followlinks=False):
        for name in names:
            seen += 1
            total += os.lstat(os.path.join(where, name)).st_size
        if seen > _MOST_ENTRIES:
            break
    return total
