"""Everything a run folder tells, read with care: the folder may be unfinished, broken, or a stranger's.

A file that is absent is empty here; a file that is there but wrong is a UserError that names it.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from afterbert.base.errors import UserError
from afterbert.base.run_files import is_run, no_folder, telling
from afterbert.base.sealed import check_sealed
from afterbert.base.small_files import read_json
from afterbert.base.tree import Node, read
from afterbert.objectives.parts.meaning import Meaning
from afterbert.probes.figure import Figure
from afterbert.probes.picture import Cell
from afterbert.probes.samples import Guess
from afterbert.report.metrics import MetricsTable, read_metrics

Chooser = Literal["command line", "size", "recipe", "default", ""]

_COMMENT = re.compile(r".*\s#\s(\S.*)")  # the last one: a value may hold the sign too


@dataclass(frozen=True)
class Value:
    """One line of a resolved recipe. A node that only holds others has no value (`is_leaf` is False).

    chooser: who decided it; origin: where exactly, as the recipe's comment says.
    """

    path: str
    depth: int
    key: str
    value: Any = None
    is_leaf: bool = True
    origin: str = ""
    chooser: Chooser = ""


def read_recipe(path: Path) -> tuple[Value, ...]:
    """Returns the values of a recipe in the order of the file; empty if the file is absent. Raises UserError."""
    if not path.exists():
        return ()
    tree = read(path)
    if not isinstance(tree.value, dict):
        raise UserError(f"{path}: is no mapping of settings; restore the recipe.yaml this run was made by")
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    settings = {key: node for key, node in tree.value.items() if key != "names"}  # how to say them, no settings
    return tuple(_values(Node(settings, tree.origin), "", 0, lines))


def _values(node: Node, path: str, depth: int, lines: list[str]) -> list[Value]:
    children = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
    found: list[Value] = []
    for key, child in children:
        at = f"{path}.{key}" if path else str(key)
        if isinstance(child.value, (dict, list)) and child.value:
            found.append(Value(at, depth, str(key), is_leaf=False))
            found += _values(child, at, depth + 1, lines)
            continue
        number = int(child.origin.rpartition(":")[2])
        comment = _COMMENT.fullmatch(lines[number - 1]) if number <= len(lines) else None
        origin = comment[1].strip() if comment else ""
        found.append(Value(at, depth, str(key), child.value, origin=origin, chooser=_chooser(origin)))
    return found


def _chooser(origin: str) -> Chooser:
    """
    >>> _chooser("--model.hidden_size"), _chooser("laptop.yaml:31 (size tiny)"), _chooser("laptop.yaml:4")
    ('command line', 'size', 'recipe')
    """
    if origin.startswith("--"):
        return "command line"
    if origin.startswith("size ") or "(size " in origin:
        return "size"
    if origin == "default":
        return "default"
    return "recipe" if origin else ""


T = TypeVar("T")

_MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class StatusRecord:
    """The state of the run, as status.json holds it."""

    state: str | None = None
    step: int | None = None
    total_steps: int | None = None
    message: str = ""


@dataclass(frozen=True)
class TallyRecord:
    """Documents read, kept, and dropped or repaired by reason; bytes read."""

    read: int | None = None
    kept: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    bytes: int | None = None


@dataclass(frozen=True)
class SourceRecord:
    """One source of documents."""

    name: str
    bytes: int | None = None
    documents: int | None = None


@dataclass(frozen=True)
class DrawnRecord:
    """One store in a mixture: its rows, those that the run drew, their share of all, rounds through the store."""

    rows: int
    drawn: int
    share: float
    epochs: float


@dataclass(frozen=True)
class MixRecord:
    """The rows of a run by the store they come from."""

    steps: int = 0
    sources: dict[str, DrawnRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class MixtureRecord:
    """The mix of several stores, as it was meant before training and as it was."""

    planned: MixRecord = MixRecord()
    realised: MixRecord = MixRecord()


@dataclass(frozen=True)
class AddedRecord:
    """languages.json of a run that added a language: each one's figures before and after."""

    added: str = ""
    before: dict[str, dict[str, float]] = field(default_factory=dict)
    after: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenizerRecord:
    """The tokenizer that cut the text into pieces."""

    kind: str | None = None
    vocab_size: int | None = None


@dataclass(frozen=True)
class Data:
    """data.json: the text of the run."""

    store: str | None = None
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    tally: TallyRecord = field(default_factory=TallyRecord)
    sources: list[SourceRecord] = field(default_factory=list)
    tokenizer: TokenizerRecord = field(default_factory=TokenizerRecord)


@dataclass(frozen=True)
class FigureNames:
    """figures.json: of the loss, and of the parts of the score and the measures by their keys."""

    loss: Meaning = Meaning("loss", "nats")
    others: dict[str, Meaning] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasuredRecord:
    """evaluation.json: the finished model on held-out text; `objective`: by the question it was trained on; `shared`:
    by the one that all runs share; `without_training`: pairs and probes; `asked`: who named the masked pieces, where it
    was not the model itself."""

    measures: dict[str, float | None] = field(default_factory=dict)
    baselines: dict[str, float | None] = field(default_factory=dict)
    counts: dict[str, float | None] = field(default_factory=dict)
    objective: dict[str, float | None] = field(default_factory=dict)
    without_training: list[Figure] = field(default_factory=list)
    shared: Figure | None = None
    asked: str = ""
    languages: dict[str, dict[str, float | None]] = field(default_factory=dict)

    @property
    def answered(self) -> list[Figure]:
        """Everything that was asked without fine-tuning, the shared question first."""
        return [*([] if self.shared is None else [self.shared]), *self.without_training]


@dataclass(frozen=True)
class ShownTask:
    """A row of a task as `Picture.plain` writes it; of which recipe, where it is one of many; `reason` where
    there is none to show."""

    recipe: str = ""
    title: str = ""
    task: str = ""
    reason: str = ""
    note: str = ""
    before: list[Cell] = field(default_factory=list)
    shown: list[Cell] = field(default_factory=list)
    written: list[Cell] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    sight: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Filled:
    """One held-out text with gaps, and the model's guesses."""

    pieces: list[Guess] = field(default_factory=list)


@dataclass(frozen=True)
class Samples:
    """samples.json."""

    corrupted: list[ShownTask] = field(default_factory=list)
    filled: list[Filled] = field(default_factory=list)


@dataclass(frozen=True)
class Gallery:
    """tasks.json: every recipe's task on one text."""

    text: str = ""
    exhibits: list[ShownTask] = field(default_factory=list)


@dataclass(frozen=True)
class RunRecord:
    """A run folder, read."""

    folder: Path
    name: str
    recipe: tuple[Value, ...]
    status: StatusRecord
    metrics: MetricsTable
    data: Data
    measured: MeasuredRecord
    named: FigureNames
    statistics: dict[str, Any]
    samples: Samples
    gallery: Gallery
    mixture: MixtureRecord
    addition: AddedRecord

    def setting(self, path: str) -> Any:
        """Returns a value of the recipe by its dotted path; None if it is not there."""
        return next((value.value for value in self.recipe if value.path == path), None)


def read_run(folder: Path) -> RunRecord:
    """Returns the record of a run folder. Raises UserError if there is none, or when one of its files is broken."""
    if not folder.exists():
        raise UserError(no_folder(folder, "name the one a run was written to"))
    if not folder.is_dir():
        raise UserError(f"{folder} is a file, not a run folder; name the folder a run was written to")
    if not is_run(folder):
        raise UserError(f"{folder} is no run folder (it holds none of {', '.join(telling())}); name one that is")
    return RunRecord(
        folder=folder,
        name=folder.resolve().name,
        recipe=read_recipe(folder / "recipe.yaml"),
        status=_read(folder / "status.json", StatusRecord),
        metrics=read_metrics(folder / "metrics.jsonl"),
        data=_read(folder / "data.json", Data),
        measured=_read(folder / "evaluation.json", MeasuredRecord),
        named=_read(folder / "figures.json", FigureNames),
        statistics=_read(folder / "statistics.json", dict[str, Any]),
        samples=_read(folder / "samples.json", Samples),
        gallery=_read(folder / "tasks.json", Gallery),
        mixture=_read(folder / "mixture.json", MixtureRecord),
        addition=_read(folder / "languages.json", AddedRecord),
    )


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _read(path: Path, kind: type[T]) -> T:
    if not path.exists():
        return kind()
    found = read_json(path, most=_MOST_BYTES, allows_nan=True)
    if isinstance(found, dict):
        check_sealed(path, found, remedy="restore it from a copy of the run")
    try:
        return _adapter(cast(Any, kind)).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"]) or "the whole"
        rule = first["msg"].removeprefix("Input should be ")
        raise UserError(f"{path}: {at} must be {rule}; make the file again") from error
