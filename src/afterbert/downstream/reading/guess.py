"""Guessing what a data file asks for: its format, the kind of task, and which column is what, with the reason
in words."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from afterbert.base import plugins
from afterbert.base.errors import UserError, did_you_mean, near_file
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats.class_folders import ClassFolders, holds_classes
from afterbert.downstream.formats.csv import CsvFormat
from afterbert.downstream.formats.tsv import TsvFormat
from afterbert.downstream.reading import columns as columns_of
from afterbert.downstream.reading.columns import Held
from afterbert.downstream.reading.source import TaskSource, split_files
from afterbert.downstream.row_files.text_file import TextFile
from afterbert.downstream.tasks import Task

# So many rows like each other make a last one unlike them a row of totals.
_FEW_ROWS = 4


def guess(
    path: Path,
    *,
    name: str | None = None,
    task: Task | None = None,
    format: Format | None = None,
    columns: Mapping[str, str] | None = None,
    usual: Mapping[str, str] | None = None,
    needs_label: bool = True,
    settings: Mapping[str, Any] | None = None,
    splits: Mapping[str, Path] | None = None,
) -> TaskSource:
    """Guesses what a data file, or a folder of train, dev and test files, asks for. What is given is not guessed.

    columns: part -> column name, or its number from 1; a path with dots in nested JSON. usual: those to take if the
    file has them. needs_label: whether the rows of a given task must have a column for the label. settings: of the
    format, by name. splits: split -> file, beside what the names of files tell. Raises UserError if no guess can be
    made, saying what to name.
    """
    files = _with_splits(split_files(path), splits or {})
    first = files.get("train") or next(iter(files.values()))
    if format is None and path.is_dir() and first.parent == path and _are_classes(path, files):
        files, first = {"all": path}, path
    dotted = tuple(column for column in (columns or {}).values() if "." in column)
    format = with_settings(format or guess_format(first), {**(settings or {}), "fields": dotted or None})
    table = format.read(first, Findings())
    if not table.records:
        raise UserError(f"{first}: holds no row; name a file with rows")
    named = {str(cell).strip() for cell in table.records[0].values()} if usual and not table.has_header else set()
    if isinstance(format, (CsvFormat, TsvFormat)) and named & columns_of.told_by_name(
        (usual or {}).values()
    ):  # the model knows its column
        format = replace(format, header=True)
        table = format.read(first, Findings())
    given = {part: columns_of.check(table, part, column) for part, column in (columns or {}).items()}
    given = given or columns_of.those_there(table, usual or {})
    bare = _without_label(table, task, given) if task is not None and not needs_label else None
    chosen, found, reason = bare or _choose(table, task, given)
    kind = plugins.name_of(chosen).replace("_", " ")
    said = "as asked" if task is not None else "guessed"
    shown = ", ".join(f"{part} = {_shown(table, column)}" for part, column in found.items())
    name = name or (path.resolve().name if path.is_dir() else path.stem)
    return TaskSource(
        name=name,
        task=chosen,
        format=format.settled(table),
        columns=found,
        files=files,
        why=f"{name}: {kind} ({said}: {table.layout}, {reason}): {shown}",
    )


def _with_splits(files: Mapping[str, Path], said: Mapping[str, Path]) -> dict[str, Path]:
    """Files by split with those that were said; a lone file beside them is what there is to train on."""
    for split, path in said.items():
        if not path.exists():
            raise UserError(f"--split {split}={path}: does not exist; {near_file(path, 'check the path')}")
    if said and len(files) == 1 and "train" not in said:
        files = {"train": next(iter(files.values()))}
    return {**files, **said}


def _are_classes(path: Path, files: Mapping[str, Path]) -> bool:
    """Whether the files of a folder hold a class each, with a text in each line: plain texts, none of which says a
    split, is called like a column or reads like any format."""
    if len(files) < 2 or {"train", "dev", "test"} & set(files) or not holds_classes(path):
        return False
    if any(file.stem.lower() in columns_of.known_names() for file in files.values()):
        return False  # texts.txt beside labels.txt
    formats = [plugins.find(Format, known)() for known in plugins.names(Format)]
    heads = {file: TextFile.of(file).beginning for file in files.values()}
    tables = [one for one in formats if not one.is_bare_text]
    return not any(one.claim(file, head) for file, head in heads.items() for one in tables)


def with_settings(format: Format, settings: Mapping[str, Any]) -> Format:
    """Returns the format with settings of these names. Raises UserError for one that it does not have."""
    made: Any = format
    known = {field.name for field in fields(made)}
    for name, value in settings.items():
        if value is not None and name in known:
            made = replace(made, **{name: value})
        elif value is not None and name != "fields":
            raise UserError(f"--{name} has no effect on {plugins.name_of(format)} files; leave it out")
    return made


def guess_format(path: Path) -> Format:
    """Returns the format that claims the file most surely; a folder is read as one folder for each class. Raises
    UserError if no format claims it."""
    if path.is_dir():
        return ClassFolders()
    head = TextFile.of(path).beginning
    formats = [plugins.find(Format, known)() for known in plugins.names(Format)]
    claims = {one: one.claim(path, head) for one in formats}
    best = max(formats, key=lambda one: claims[one])
    if not claims[best]:
        known = ", ".join(plugins.names(Format))
        raise UserError(f"{path}: reads like none of the known formats; name one with --format ({known})")
    return best


def _choose(table: Table, task: Task | None, given: Mapping[str, str]) -> tuple[Task, Mapping[str, str], str]:
    """Task, part -> column, and why."""
    candidates = [task] if task is not None else _known_tasks()
    for one in candidates:
        if not set(given) <= {*one.parts, *one.optional_parts}:
            continue
        found = one.match(table, given)
        if found is not None and (task is not None or given or one.fits(table, found)):
            return one, found, "by the columns given" if set(one.parts) <= set(given) else "by column names"
    unknown = [part for part in given if not any(part in (*o.parts, *o.optional_parts) for o in candidates)]
    if unknown:
        parts = sorted({part for one in candidates for part in (*one.parts, *one.optional_parts)})
        raise UserError(f"--columns {unknown[0]}={given[unknown[0]]}: {did_you_mean(unknown[0], parts)}")
    return _choose_by_values(table, task, given)


def _without_label(table: Table, task: Task, given: Mapping[str, str]) -> tuple[Task, Mapping[str, str], str] | None:
    """The same where all columns but that of the label are found by name; None if they are not, or it is there too."""
    if task.label_part in given or task.match(table, given) is not None:
        return None
    found = task.texts_among(table.columns, given)
    needed = [part for part in task.parts if part != task.label_part and part not in found]
    free = [column for column in table.columns if column not in found.values()]
    if len(needed) == len(free):  # as many as are read, so in the order in which they are read
        found |= dict(zip(needed, free))
    if not set(task.parts) - {task.label_part} <= set(found):
        return None
    return task, found, "no labels, by column names"


def _known_tasks() -> list[Task]:
    tasks = [plugins.find(Task, known)() for known in plugins.names(Task)]
    return sorted((task for task in tasks if task.precedence), key=lambda task: -task.precedence)


def _choose_by_values(table: Table, task: Task | None, given: Mapping[str, str]) -> tuple[Task, Mapping[str, str], str]:
    """By what the columns hold, where their names say too little; above the last row where that one alone is unlike the
    others, as a spreadsheet's row of totals is. Raises UserError."""
    above = table.only(range(len(table.records) - 1))
    if found := _told_by_values(table, task, given):
        return found
    if len(above.records) >= _FEW_ROWS and (found := _told_by_values(above, task, given)):
        return found[0], found[1], f"{found[2]} above the last row, {table.keys[-1]}"
    raise UserError(_helpless(table, task, given))


def _told_by_values(
    table: Table, task: Task | None, given: Mapping[str, str]
) -> tuple[Task, Mapping[str, str], str] | None:
    held, known = Held.of(table, is_asked=task is not None), _known_tasks()
    if task is None and not given:
        for one in known:
            if recognized := one.recognized(table):
                return recognized
    for one in [task] if task else [one for one in known if one.is_told_by_values]:
        found = one.offer(held) | dict(given)
        if set(given) <= {*one.parts, *one.optional_parts} and set(one.parts) <= set(found):
            return one, found, "by what the columns hold"
    return None


def _shown(table: Table, column: str) -> str:
    return f"'{column}'" if table.has_header else f"column {column}"


def _helpless(table: Table, task: Task | None, given: Mapping[str, str]) -> str:
    held = ", ".join(
        f"{_shown(table, column)} ({columns_of.profile(table.column(column)[:2000])})" for column in table.columns
    )
    if task is not None:
        rest = [column for column in table.columns if column not in given.values()]
        missing = [part for part in task.parts if part not in given and task.find(part, rest) is None]
        kind = plugins.name_of(task).replace("_", " ")
        wanted = " ".join(f"{part}=..." for part in missing)
        return f"{table.path}: which column is what for {kind} cannot be told from {held}; say --columns {wanted}"
    objects = {name: next((one for one in table.column(name) if isinstance(one, dict)), {}) for name in table.columns}
    nested = [f"{name}.{key}" for name, one in objects.items() for key in one]
    deeper = f", fields that stand deeper by their path ({', '.join(nested[:3])})" if nested else ""
    return (
        f"{table.path}: the task cannot be told from its columns {held}; name its --kind (--help lists them) and the "
        f"columns with --columns part=column{deeper}"
    )
