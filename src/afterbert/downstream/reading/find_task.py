"""A task as the command line names it: `NAME:PATH`, `PATH`, a task file, `hub:NAME`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.downstream.formats import Format
from afterbert.downstream.reading import hub
from afterbert.downstream.reading.guess import guess
from afterbert.downstream.reading.source import TaskSource
from afterbert.downstream.reading.task_file import read_task_file
from afterbert.downstream.task_name import checked_name
from afterbert.downstream.tasks import Task

_NAMED = re.compile(r"(\w[^/\\:]*):(.+)")


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The options for files of labelled rows, as the command line writes them; what is None is guessed."""

    kind: str | None = None
    """The kind of task."""
    format: str | None = None
    columns: str | None = None
    """Which column is what: `text=review,label=3`."""
    header: str | None = None
    """Whether a table's first line names its columns, yes or no."""
    records: str | None = None
    """Where the list of rows stands in a file that is one JSON object."""
    splits: tuple[str, ...] = ()
    """Files beside the task's own: `test=FILE`."""

    def find(self, spec: str, **others: Any) -> TaskSource:
        """Finds where the task `spec` has its rows. others: as `find_task` takes them. Raises UserError."""
        said: dict[str, Any] = {
            "kind": self.kind,
            "format": self.format,
            "columns": parse_columns(self.columns) if self.columns else None,
            "header": parse_header(self.header),
            "records": self.records,
            "splits": parse_splits(self.splits),
        }
        return find_task(spec, **said | others)


def find_task(
    spec: str,
    *,
    kind: str | Task | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    usual: Mapping[str, str] | None = None,
    header: bool | None = None,
    records: str | None = None,
    splits: Mapping[str, Path] | None = None,
    needs_label: bool = True,
    cache: Path | None = None,
) -> TaskSource:
    """Finds where the task `spec` has its rows.

    spec: a data file or folder, a YAML task file, each optionally after `name:`; or `hub:name` or
    `hub:name/config`, fetched through `datasets` into the folder `cache`. kind, format: plug-in names; a task in place
    of a kind is one that was settled before, such as a model's. columns: part -> column; usual: those to take if the
    file has them. header: whether a table's first line names its columns. records: where the list of rows stands in
    JSON. splits: split -> its file. needs_label: False where a model's own `kind` is asked about rows that may have
    none. Raises UserError.
    """
    name, path = named_path(spec)
    if spec.startswith("hub:"):
        path = hub.fetch(spec.removeprefix("hub:"), cache or Path("downloads"))
        name = path.name
    if path.suffix in (".yaml", ".yml"):
        if kind or format or columns or splits or records or header is not None:
            raise UserError(f"{path}: a task file says kind, format, columns and files itself; put them there")
        source = read_task_file(path)
        return replace(source, name=name, why=f"{name}: as {path.name} says") if name else source
    return guess(
        path,
        name=name,
        task=plugins.find(Task, kind)() if isinstance(kind, str) else kind,
        format=plugins.find(Format, format)() if format else None,
        columns=columns,
        usual=usual,
        needs_label=needs_label,
        settings={"header": header, "records": records},
        splits=splits,
    )


def parse_columns(written: str) -> dict[str, str]:
    """Returns part -> column from `text=sentence,label=2`. Raises UserError.

    >>> parse_columns("text=sentence,label=2")
    {'text': 'sentence', 'label': '2'}
    """
    found: dict[str, str] = {}
    for one in written.split(","):
        part, equals, column = one.partition("=")
        if not (part.strip() and equals and column.strip()):
            raise UserError(f"--columns {written}: '{one}' is no part=column; write text=sentence,label=2")
        found[part.strip()] = column.strip()
    return found


def parse_splits(written: Sequence[str]) -> dict[str, Path]:
    """Returns split -> file from texts such as `test=FILE`. Raises UserError.

    >>> {split: path.name for split, path in parse_splits(["test=a.csv"]).items()}
    {'test': 'a.csv'}
    """
    pairs = [one.partition("=") for one in written]
    for one, (split, equals, path) in zip(written, pairs):
        if not (split.strip() and equals and path.strip()):
            raise UserError(f"--split {one} names no file; write --split test=FILE")
    return {checked_name(split.strip()): Path(path) for split, _, path in pairs}


def parse_header(written: str | None) -> bool | None:
    """Returns whether there is a header, from yes or no; None where neither is given. Raises UserError.

    >>> parse_header("yes"), parse_header("no"), parse_header(None)
    (True, False, None)
    """
    if written not in ("yes", "no", None):
        raise UserError(f"--header {written}: write yes or no")
    return None if written is None else written == "yes"


def named_path(spec: str) -> tuple[str | None, Path]:
    """Returns name and path. A path that exists is a path, even with a colon in it; a single letter before the colon
    and a backslash is a drive."""
    named = _NAMED.fullmatch(spec)
    if named is None or Path(spec).exists() or (len(named[1]) == 1 and named[2][0] == "\\"):
        return None, Path(spec)
    return named[1], Path(named[2])
