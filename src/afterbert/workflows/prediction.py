"""A fine-tuned model asked about a file of rows, row by row, or about a text."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from afterbert.base.destination import aside_of
from afterbert.base.errors import UserError, did_you_mean, near_file
from afterbert.downstream.example import Example, Findings
from afterbert.downstream.finetuning.evaluation import task_name
from afterbert.downstream.finetuning.prediction import Answerer
from afterbert.downstream.finetuning.saving import finetuned_folder, load_finetuned
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.reading.cells import held_in
from afterbert.downstream.reading.columns import column_named, known_names, told_by_name
from afterbert.downstream.reading.find_task import parse_columns
from afterbert.downstream.reading.words import FoundWords
from afterbert.downstream.row_files.row_file import FileRow, Kind, RowFile, path_kind
from afterbert.downstream.row_files.row_writer import RowWriter
from afterbert.downstream.row_files.text_file import TextFile
from afterbert.downstream.tasks import Task
from afterbert.text.pieces.unknown import MOST_UNKNOWN, UnknownPieces
from afterbert.workflows.observer import NOBODY, WorkObserver

# Rows answered together: enough to sort them into batches of like length, few enough for any memory.
_CHUNK = 1024
_MOST_PROBLEMS = 5


@dataclass(frozen=True)
class PredictRequest:
    """A file of rows to be answered."""

    model: str
    """A run of fine-tuning, that of one seed, or an exported folder."""
    rows: str
    """A file, or `-` for standard input."""
    out: Path | None = None
    """The file to write; None writes to the stream that `predict_file` is given."""
    overwrite: bool = False
    """Whether `out` may be there already."""
    task: str | None = None
    """Which of the model's tasks, of several."""
    columns: str | None = None
    """Which column is what: `text=review`. None takes those of the training, or finds them by name."""
    kind: Kind | None = None
    """How the file is laid out; None is told by its name and by what it holds."""
    header: bool | None = None
    """Whether a table's first line names its columns; None is guessed."""
    records: str | None = None
    """Where the list of rows stands in a file that is one JSON object."""
    max_unknown: float = MOST_UNKNOWN
    """The largest share of pieces that the tokenizer may not know."""
    language: str | None = None
    """Of the rows, for a model that is told languages."""


@dataclass(frozen=True)
class Predicted:
    """The result of predicting a file."""

    rows: int
    columns: Mapping[str, str]
    """Part -> the column that was read for it."""
    new: tuple[str, ...]
    """The columns that were added, as tables name them."""
    notes: tuple[str, ...] = ()


def names_file(written: str) -> bool:
    """Returns whether what a user wrote names a file, or standard input, rather than being a text. Raises UserError if
    it can only be meant for a file, and there is none."""
    if written == "-":
        return True
    if not written.strip():
        raise UserError("the text is empty; write one, or name a file of rows")
    try:
        path = Path(written)
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, ValueError):  # a text is no path
        return False
    if is_folder:
        raise UserError(f"{written} is a folder; name a file of rows in it")
    is_word = not any(sign.isspace() for sign in written)
    if not is_there and is_word and (path_kind(path) or path.suffix in (".txt", ".json")):
        raise UserError(f"{written}: there is no such file; {near_file(path, 'check the path')}")
    return is_there


def answerer_of(model: str, task: str | None = None, language: str | None = None) -> tuple[Answerer, tuple[str, ...]]:
    """Returns the head of a fine-tuned model, and a remark on how it was found. language: of the rows, for a model with
    parts for each language. Raises UserError."""
    folder, notes = finetuned_folder(Path(model))
    loaded = load_finetuned(folder)
    known = loaded.model.languages
    if language is not None and language not in known:
        which = did_you_mean(language, list(known)) if known else "it is not told any, so leave --language out"
        raise UserError(f"--language {language}: the model {model} does not know it; {which}")
    if language is None and known:
        notes += (loaded.model.without_language,)
    return Answerer(loaded, task_name(loaded, task), language), notes


def check_unknown(found: UnknownPieces, whose: str, most: float) -> tuple[str, ...]:
    """Returns a remark on pieces that a model's tokenizer does not know. Raises UserError for more than `most`."""
    return tuple(found.check(most, whose=whose, remedy="ask a model whose tokenizer knows this text"))


def predict_file(request: PredictRequest, *, stream: TextIO, observer: WorkObserver = NOBODY) -> Predicted:
    """Answers every row and writes it with new columns. The whole file is looked over before the first row is answered,
    and `out` is there whole or not at all; memory does not grow with the file. stream: where rows go without `out`.
    Raises UserError that names the lines of broken rows."""
    source, out = Path(request.rows), request.out
    if out is not None:
        _check_out(out, source, overwrite=request.overwrite)
    with _regular(request.rows, sys.stdin.buffer) as (path, said):
        file = TextFile.of(path, said)
        answerer, notes = answerer_of(request.model, request.task, request.language)
        remembered = answerer.loaded.columns.get(answerer.name, {})
        given = parse_columns(request.columns) if request.columns else {}
        known = [*told_by_name((*given.values(), *remembered.values())), *known_names()]
        rows = RowFile.of(
            file,
            kind=request.kind,
            known=known,
            reads_words=answerer.reads_words,
            header=request.header,
            records=request.records,
        )
        columns = columns_read(answerer.task, rows, given, remembered)
        asked = _Asked(answerer, rows, columns)
        count, empty, unknown = asked.looked_over()
        notes += tuple(f"{line}: nothing is predicted for them" for line in empty.lines())
        notes += check_unknown(unknown, file.said, request.max_unknown)
        with _written(out, rows, stream) as to, observer.working("predicting") as advance:
            writer = RowWriter(rows, to, path_kind(out) if out is not None else None)
            for done, (row, new, like) in enumerate(asked.answered(), start=1):
                writer.write(row, new, like)
                if done % _CHUNK == 0 or done == count:
                    advance(done, count, f"{done:,} of {count:,} rows")
    return Predicted(count, columns, tuple(writer.names or ()), notes)


def columns_read(task: Task, rows: RowFile, given: Mapping[str, str], remembered: Mapping[str, str]) -> dict[str, str]:
    """Returns part -> column: those `given`, those of the training, those known by name; when a file has no more
    columns than the task reads texts, these in order. Raises UserError."""
    names, label = list(rows.columns), task.label_part
    unknown = [part for part in given if part not in (*task.parts, *task.optional_parts)]
    if unknown:
        parts = [part for part in (*task.parts, *task.optional_parts) if part != label]
        raise UserError(f"--columns {unknown[0]}={given[unknown[0]]}: {did_you_mean(unknown[0], parts)}")
    needed = [part for part in (remembered or task.parts) if part in (*task.parts, *task.optional_parts)]
    needed = [part for part in needed if part not in (label, task.joining_part)]
    lowered = {name.lower(): name for name in names}
    found: dict[str, str] = {}
    for part in needed:
        if part in given:
            column = column_named(given[part], rows.columns)
            if column is None:
                near = did_you_mean(given[part], names)
                raise UserError(f"{rows.file.said}: has no column '{given[part]}' for {part}; {near}")
            found[part] = column
            continue
        if part == "words" and rows.words is not None:  # another file of words may have them elsewhere
            found[part] = rows.words
            continue
        kept = remembered.get(part, "")
        whole = "+".join(lowered.get(one.lower(), "") for one in kept.split("+"))
        by_name = task.find(part, names) if rows.has_header or rows.kind in ("jsonl", "conll", "txt") else None
        if kept and all(whole.split("+")):
            found[part] = whole
        elif by_name is not None:
            found[part] = by_name
    missing = [part for part in needed if part not in found]
    free = [name for name in names if name not in found.values()]
    if missing and (len(free) == len(missing) or (rows.kind == "conll" and len(missing) == 1)):
        found |= dict(zip(missing, free))
    elif missing:
        raise UserError(
            f"{rows.file.said}: no column for {', '.join(missing)} among {', '.join(names)}; "
            f"say --columns {missing[0]}=..."
        )
    if (
        task.joining_part
        and rows.has_header
        and (name := given.get(task.joining_part) or task.find(task.joining_part, names))
    ):
        found[task.joining_part] = name
    return found


@dataclass(frozen=True)
class _Asked:
    """The rows of a file, put to a model."""

    answerer: Answerer
    source: RowFile
    columns: Mapping[str, str]

    def looked_over(self) -> tuple[int, Findings, UnknownPieces]:
        """How many rows there are, which have no text, and how many of their pieces the tokenizer does not know. Raises
        UserError with the first broken ones."""
        count, empty, problems, unknown = 0, Findings(), [], UnknownPieces()
        said, task = self.source.file.said, self.answerer.task
        for chunk in self._chunks():
            texts: list[str] = []
            for row in chunk:
                count += 1
                problem = row.problem or self._lacks(row)
                if problem:
                    problems.append(f"{said}:{row.line}: {problem}")
                    continue
                example = self._example([row], finds_words=False)[0]
                texts += example.texts
                if not task.has_text(example):
                    empty.add("rows have no text", f"{said}:{row.line}")
            unknown += UnknownPieces.in_texts(texts, self.answerer.loaded.model.tokenizer)
        if problems:
            more = len(problems) - _MOST_PROBLEMS
            rest = [f"{said}: {more:,} more rows are broken"] if more > 0 else []
            shown = [f"{one}; mend the row" for one in problems[:_MOST_PROBLEMS]]
            raise UserError(*shown, *rest)
        if not count:
            raise UserError(f"{said}: holds no row; name a file with rows")
        if empty["rows have no text"] == count:
            raise UserError(f"{said}: no row has a text in {', '.join(self.columns.values())}; check the columns")
        return count, empty, unknown

    def answered(self) -> Iterator[tuple[FileRow, Mapping[str, Any], Mapping[str, Any]]]:
        """Each row, what is added to it, and what is added to a row that has an answer."""
        like: Mapping[str, Any] = {}
        held: list[tuple[FileRow, Mapping[str, Any]]] = []
        for chunk in self._chunks():
            told = self._told(chunk)
            like = like or next((new for new in told if new), {})
            held += zip(chunk, told)
            if like:
                yield from ((row, new, like) for row, new in held)
                held = []

    def _chunks(self) -> Iterator[list[FileRow]]:
        """Rows by the thousand; never cut between rows of one example."""
        chunk: list[FileRow] = []
        for row in self.source.rows():
            if len(chunk) >= _CHUNK and not self.answerer.task.joins(row.record, chunk[-1].record, self.columns):
                yield chunk
                chunk = []
            chunk.append(row)
        yield chunk

    def _told(self, chunk: Sequence[FileRow]) -> list[Mapping[str, Any]]:
        """What is added to each row; nothing for those without text."""
        task, groups = self.answerer.task, self._groups(chunk)
        examples = [self._example([chunk[number] for number in group]) for group in groups]
        asked = [number for number, (example, _) in enumerate(examples) if task.has_text(example)]
        found = self.answerer.placed(
            [examples[number][0] for number in asked], [examples[number][1] for number in asked]
        )
        told: list[Mapping[str, Any]] = [{} for _ in chunk]
        for number, one in zip(asked, found):
            for place, row in enumerate(groups[number]):
                is_joined = task.joining_part in self.columns
                told[row] = (
                    {"prediction": one.value[place]} if is_joined else added(task, examples[number][0], one, place)
                )
        return told

    def _groups(self, chunk: Sequence[FileRow]) -> list[list[int]]:
        """Numbers of the rows that make one example each."""
        groups: list[list[int]] = []
        for number, row in enumerate(chunk):
            if groups and self.answerer.task.joins(row.record, chunk[number - 1].record, self.columns):
                groups[-1].append(number)
            else:
                groups.append([number])
        return groups

    def _lacks(self, row: FileRow) -> str:
        """What an object lacks; cells were counted already."""
        lacking = [one for column in self.columns.values() for one in column.split("+") if one not in row.record]
        return f"has no '{lacking[0]}'" if lacking and len(lacking) == len(self.columns) else ""

    def _example(self, rows: Sequence[FileRow], *, finds_words: bool = True) -> tuple[Example, FoundWords | None]:
        """The example that rows make, and where its words were found, if they were in a running text."""
        task, key = self.answerer.task, f"line:{rows[0].line}"
        if self.answerer.reads_words:
            value = rows[0].record.get(self.columns["words"])
            if self.answerer.task.joining_part in self.columns:
                cells = (row.record.get(self.columns["words"]) for row in rows)
                return Example(key, tuple("" if cell is None else str(cell) for cell in cells)), None
            if isinstance(value, str) and held_in(value) is value:
                words = task.words_of(value) if finds_words else FoundWords(value, (value,), (0,))
                return Example(key, words.words), words
        parts = [task.example(row.record, self.columns, key, Findings()) for row in rows]
        further = (part.texts[1] for part in parts[1:])
        return Example(key, (*parts[0].texts, *further)), None


def added(task: Task, example: Example, found: Prediction, place: int = 0) -> dict[str, Any]:
    """Returns name -> value for what an answer adds to a row. place: of the row among those of its example."""
    if task.answer == "order":
        return {"score": round(found.scores[place], 6), "rank": found.value.index(place) + 1}
    value = round(found.value, 6) if isinstance(found.value, float) else task.as_written(found.value)
    told = replace(found, value=value).plain()
    if task.answer == "choice":
        told["answer"] = example.texts[1 + found.value]
    if task.answer == "span":
        span = found.span
        told |= {"start": None if span is None else span.start, "end": None if span is None else span.end}
    return told


def _check_out(out: Path, source: Path, *, overwrite: bool) -> None:
    if out.is_dir():
        raise UserError(f"{out} is a folder; name a file to write")
    if path_kind(out) is None and out.suffix.lower() not in ("", ".txt", source.suffix.lower()):
        raise UserError(f"{out}: {out.suffix} files are not written; end its name in .csv, .tsv or .jsonl")
    if out.exists() and source.exists() and os.path.samefile(out, source):
        raise UserError(f"{out} is the file that is read; name another one to write")
    if os.path.lexists(out) and not overwrite:
        raise UserError(f"{out} is there already; name another file, or say --overwrite")
    if not out.parent.is_dir():
        raise UserError(f"{out.parent} is no folder; make it, or write elsewhere")


@contextmanager
def _regular(rows: str, stdin: BinaryIO) -> Iterator[tuple[Path, str | None]]:
    """A file that can be read twice: what is piped in lies in a temporary one meanwhile."""
    if rows != "-":
        yield Path(rows), None
        return
    with tempfile.NamedTemporaryFile(prefix="afterbert-") as kept:
        shutil.copyfileobj(stdin, kept)
        kept.flush()
        yield Path(kept.name), "standard input"


@contextmanager
def _written(out: Path | None, rows: RowFile, stream: TextIO) -> Iterator[TextIO]:
    """Where rows go: a file that comes to stand at `out` when it is whole, in the encoding of the one read."""
    if out is None:
        yield stream
        return
    file = rows.file
    encoding = file.encoding if file.has_mark or file.encoding.startswith("utf-16") else "utf-8"
    beside = aside_of(out)
    try:
        with beside.open("w", encoding=encoding, newline="") as to:
            yield to
        os.replace(beside, out)
    except OSError as error:
        if error.filename is None:
            raise
        raise UserError(f"{out} cannot be written ({error.strerror}); name another place") from error
    finally:
        beside.unlink(missing_ok=True)
