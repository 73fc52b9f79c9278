"""metrics.jsonl as columns: bounded in time and memory however long the run was.

A long file is thinned, but for lines that hold an evaluation, a note or a value that is no finite number.
"""

import json
import math
import re
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.small_files import check_regular

# How base.runs writes what is no finite number.
_NEVER_SKIPPED = (b'"evaluation"', b'"text"', b'"nan"', b'inf"')
_SPOKEN = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class Evaluation:
    """A measurement on held-out text after a step."""

    step: float
    measures: dict[str, float]


@dataclass(frozen=True)
class Note:
    """Something out of the ordinary that the run wrote down."""

    step: float
    text: str


@dataclass(frozen=True)
class MetricsTable:
    """The steps that were read, in order, as columns of float64 [N] (NaN where a line lacks the key), and the rest.

    columns: step, loss, lr, grad_norm, tokens and seconds since the run began, tokens_per_second; those that occur.
    parts: the loss of each part. not_finite: steps [M] whose loss or gradient was no finite number. every: about one
    line in `every` was read. unreadable: lines that are no record (a torn last line, say).
    """

    columns: dict[str, np.ndarray] = field(default_factory=dict)
    parts: dict[str, np.ndarray] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    notes: tuple[Note, ...] = ()
    not_finite: np.ndarray = field(default_factory=lambda: np.empty(0))
    every: int = 1
    unreadable: int = 0

    def __len__(self) -> int:
        return len(self.columns.get("step", ()))

    def last(self, column: str) -> float | None:
        """Returns the last finite value of a column."""
        values = self.columns.get(column, np.empty(0))
        finite = values[np.isfinite(values)]
        return float(finite[-1]) if len(finite) else None


def read_metrics(path: Path) -> MetricsTable:
    """Returns the metrics of a run; empty if the file is absent or empty. Raises UserError if it cannot be read."""
    try:
        read, every = thinned_lines(path, _NEVER_SKIPPED)
    except FileNotFoundError:
        return MetricsTable()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file") from error
    lines = [line for line in read if line.strip()]
    records = [record for line in lines if (record := _record(line)) is not None]
    steps = _not_overwritten([r for r in records if r.get("kind") == "step"])
    evaluations = _not_overwritten([r for r in records if r.get("kind") == "evaluation"])
    return MetricsTable(
        columns=_columns(steps),
        parts=_parts(steps),
        evaluations=tuple(Evaluation(_number(r["step"]), _numbers(r.get("figures"))) for r in evaluations),
        notes=tuple(Note(_number(r["step"]), r["text"]) for r in records if isinstance(r.get("text"), str)),
        not_finite=np.unique([_number(record["step"]) for record in records if _is_broken(record)]),
        every=every,
        unreadable=len(lines) - len(records),
    )


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_ours = isinstance(record, dict) and "kind" in record and math.isfinite(_number(record.get("step")))
    return record if is_ours else None


def _not_overwritten(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the lines of steps that were taken again after a resume from an earlier checkpoint."""
    kept, earliest = [], math.inf
    for record in reversed(records):
        if _number(record["step"]) < earliest:
            earliest = _number(record["step"])
            kept.append(record)
    return kept[::-1]


def _columns(steps: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    names = ("step", "loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second", "seconds")
    return {
        name: np.array([_number(r.get(name)) for r in steps])
        for name in names
        if any(record.get(name) is not None for record in steps)
    }


def _is_broken(record: dict[str, Any]) -> bool:
    told = [record[name] for name in ("loss", "grad_norm") if record.get(name) is not None]
    return record["kind"] == "non_finite" or any(not math.isfinite(_number(value)) for value in told)


def _parts(steps: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    parts = [_numbers(record.get("parts")) for record in steps]
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.array([part.get(name, math.nan) for part in parts]) for name in names}


def _numbers(found: Any) -> dict[str, float]:
    return {str(key): _number(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _number(value: Any) -> float:
    """A float; NaN for anything that is no number."""
    if isinstance(value, str):
        return _SPOKEN.get(value, math.nan)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


_SHORT_BYTES = 1 << 22
_LONGEST_LINE = 1 << 20


def thinned_lines(path: Path, marks: tuple[bytes, ...], *, most: int = 10_000) -> tuple[list[bytes], int]:
    """Returns all lines of a short file. Of a long file it returns about `most`, evenly spread, with the lines that
    hold one of `marks` (about `most` of these too) and the last two. Beside them: about one in how many of the file
    these are. Raises OSError."""
    check_regular(path)
    size = path.stat().st_size
    if size <= _SHORT_BYTES:
        return path.read_bytes().split(b"\n"), 1
    with path.open("rb") as file, mmap(file.fileno(), size, access=ACCESS_READ) as data:
        # A mark hides others close behind it, so that a file of nothing but marks takes bounded time.
        patterns = (re.compile(re.escape(mark) + b"(?s:.{0,%d})" % (size // (10 * most))) for mark in marks)
        found = (match.start() for pattern in patterns for match in pattern.finditer(data))
        marked = np.unique(np.fromiter(found, np.int64))
        last = _start(data, size - 1)  # how far the run is, also when the very last line is torn
        places = [*range(0, size, size // most), *marked[:: len(marked) // most or 1].tolist(), last - 1, last]
        starts = sorted({_start(data, place) for place in places})
        lines = [
            data[start : data.find(b"\n", start, start + _LONGEST_LINE) + 1 or start + _LONGEST_LINE]
            for start in starts
        ]
    mean_length = sum(map(len, lines)) / len(lines)
    return lines, max(1, round(size / mean_length / most))


def _start(data: mmap, place: int) -> int:
    """Where the line starts that holds a place."""
    return data.rfind(b"\n", max(0, place - _LONGEST_LINE), max(0, place)) + 1
