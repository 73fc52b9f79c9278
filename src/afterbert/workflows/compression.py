"""What `compress` does: methods one after the other, each step measured against the model as it was, and the last one
written if it is good enough."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from afterbert.base.config import digest, to_plain
from afterbert.base.destination import check_apart, check_folder, folder_written
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.runs import RunFolder, write_atomically
from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.compression.chain import check_all, parse, written
from afterbert.compression.damage import damage
from afterbert.compression.ladder import Target
from afterbert.compression.latency import Machine, median_speedup
from afterbert.compression.measuring import Examination, StepRow, latencies, sizes
from afterbert.compression.methods import Method, Setting
from afterbert.compression.subject import Form, Subject
from afterbert.downstream.example import Example
from afterbert.downstream.figures.results import tupled
from afterbert.downstream.finetuning.evaluation import task_name
from afterbert.downstream.finetuning.saving import finetuned_folder
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.find_task import DataOptions, named_path
from afterbert.interop.loaded import FINISHED
from afterbert.workflows.observer import NOBODY, Advance, WorkObserver

_AGAIN = "delete its folder to have the step made again"
_CLEARLY_SLOWER = 0.8  # a model timed against itself has come to 0.91


@dataclass(frozen=True)
class CompressRequest(DataOptions):
    """The request for a compression."""

    model: str
    """A run or model folder, or a hub name; fine-tuned where a task is to judge."""
    methods: tuple[str, ...]
    """Methods in their order, as `layers:keep=4`."""
    out: Path
    """The folder to write."""
    task: str | None = None
    """Labelled rows: NAME:PATH, PATH, a task file or hub:NAME."""
    answered_as: str | None = None
    """Which of the model's tasks, if it answers several."""
    split: str | None = None
    """The rows by which models are judged; None: dev, else test."""
    at_least: float | None = None
    """The share of the uncompressed model's quality below which nothing is written."""
    target: str | None = None
    """What is to be reached by a ladder of combinations, in place of methods: 4x faster, 10MB, -1 point."""
    minutes: float | None = None
    """After which no further combination is begun; None: all are tried."""
    controls: bool = True
    """Whether each method is laid beside its control."""
    timed: bool = True
    """Whether latencies are measured."""
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class CompressSetup:
    """A request, looked over: everything is read and checked, nothing is done."""

    request: CompressRequest
    before: Subject
    methods: tuple[Method, ...]
    examination: Examination | None
    setting: Setting
    notes: tuple[str, ...] = ()

    @property
    def form(self) -> Form:
        """What methods are checked by: the model, and the rows that are at hand."""
        form = replace(self.before.only(self.setting.task).form, has_training_rows=bool(self.setting.rows.get("train")))
        return form if self.setting.task is not None else replace(form, task=None)

    @property
    def identity(self) -> str:
        """A name for all that decides the steps' figures."""
        judged = self.examination and _told_apart(self.examination.rows)
        made_of = {
            "weights": self.before.model.digests,
            "model": self.before.model.name,
            "task": self.setting.task,
            "judged": judged,
            "learned": _told_apart(self.setting.rows.get("train", ())),
            "seed": self.request.seed,
            "controls": self.request.controls,
            "timed": self.request.timed,
        }
        return digest(made_of, length=12)

    @property
    def work(self) -> Path:
        """The folder that keeps finished steps until all are done."""
        out = self.request.out.resolve()  # of "." too it lies beside
        return out.parent / f".compress-{out.name}-{self.identity}"


@dataclass(frozen=True)
class CompressOutcome:
    """The result of a compression."""

    setup: CompressSetup
    rows: tuple[StepRow, ...]
    """One for the model as it was, and one for each method."""
    model: Path | None
    """The folder that was written; None if the model is not good enough."""
    refusal: tuple[str, ...] = ()
    """Why nothing was written, line by line."""


def prepare_compression(request: CompressRequest, observer: WorkObserver = NOBODY) -> CompressSetup:
    """Reads the model and the task, and checks every method against what stands before it. Raises UserError."""
    if not request.methods and request.target is None:
        raise UserError("there is no method; say --with, such as --with layers:keep=4, or --target")
    if request.target is not None:
        Target.parse(request.target)
        if request.methods:
            raise UserError("--with and --target: a goal chooses its methods itself; leave one of the two out")
    methods = tuple(parse(one) for one in request.methods)
    if request.at_least is not None and request.task is None:
        raise UserError("--at-least needs rows to judge the model by; name them with --task")
    if request.at_least is not None and not 0 < request.at_least <= 1:
        raise UserError(f"--at-least is {request.at_least:.0%}; write a share from 1% to 100%")
    check_apart(request.out, request.model)
    check_folder(request.out, overwrite=request.overwrite)
    chosen, of_seeds = finetuned_folder(Path(request.model))
    before = Subject.read(str(chosen))
    check_apart(request.out, before.model.folder or chosen)
    if before.kind == "graph":
        raise UserError(f"{chosen} is {FINISHED}")
    examination, setting = _task_of(request, before, observer)
    setup = CompressSetup(request, before, methods, examination, setting, (*of_seeds, *before.model.notes))
    check_all(setup.form, methods)
    return setup


def run_compression(setup: CompressSetup, observer: WorkObserver = NOBODY) -> CompressOutcome:
    """Carries the methods out, or goes on with what was begun of them. Raises UserError."""
    tell(setup, observer)
    with at_work(setup):
        rows, subject = steps(setup, observer)
        refusal = _refusal(setup, rows, subject)
        if not refusal:
            _write(setup, rows, subject)
    return CompressOutcome(setup, tuple(rows), None if refusal else setup.request.out, refusal)


@contextmanager
def at_work(setup: CompressSetup) -> Iterator[None]:
    """Holds the folder of finished steps for this process; it goes when all is done inside. Raises UserError where it
    cannot be made, or another process holds it."""
    try:
        setup.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{setup.work} cannot be made ({error.strerror}); name another --out") from error
    with RunFolder(setup.work, kind="work folder").locked():
        yield
        shutil.rmtree(setup.work, ignore_errors=True)


def tell(setup: CompressSetup, observer: WorkObserver) -> None:
    """Tells what else there is to know of the model, before any work."""
    for note in setup.notes:
        observer.on_note(note)


def finish(setup: CompressSetup, rows: Sequence[StepRow], observer: WorkObserver) -> Path:
    """Writes the model of methods that are all carried out, with these figures beside it."""
    _, subject = steps(setup, observer)
    _write(setup, rows, subject)
    return setup.request.out


def _write(setup: CompressSetup, rows: Sequence[StepRow], subject: Subject) -> None:
    request = setup.request
    with folder_written(request.out, made_by="compress", overwrite=request.overwrite) as aside:
        subject.write(aside)
        write_atomically(aside / "compression.json", told(setup, rows))


def told(setup: CompressSetup, rows: Sequence[StepRow]) -> str:
    """Returns the figures of all steps as JSON."""
    found = {
        "model": setup.before.model.name,
        "task": setup.setting.task,
        "methods": [to_plain(method) for method in setup.methods],
        "machine": asdict(Machine.here()),
        "rows": [row.plain() for row in rows],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _task_of(request: CompressRequest, before: Subject, observer: WorkObserver) -> tuple[Examination | None, Setting]:
    """The rows that judge, and those that methods may learn from. Raises UserError."""
    setting = Setting(request.out, noise=Noise(request.seed))
    if request.task is None:
        return None, setting
    if before.tuned is None:
        raise UserError(
            f"{request.model} answers no task yet; fine-tune it first: afterbert finetune --model {request.model} "
            f"--task {request.task}"
        )
    name = task_name(before.tuned, request.answered_as)
    data = _read(request, before, name, observer)
    found = _usable(data)
    if request.split in (None, "dev") and set(found) in ({"all"}, {"train"}):  # of these `finetune` holds some out
        data = replace(data, splits={"train": next(iter(found.values()))}, notes=()).with_dev(seed=request.seed)
        observer.on_line(data.notes[0])
        found = _usable(data)
    labelled = [one for one in found if one != "train"]
    split = request.split or next((one for one in ("dev", "test", *labelled) if one in labelled), "dev")
    if split not in labelled:
        there = ", ".join(labelled) or "none"
        raise UserError(f"{request.task} has no labelled rows called {split} to judge by; there are: {there}")
    observer.on_line(f"judged by: {len(found[split]):,} rows of {split}")
    rows = {one: rows for one, rows in found.items() if one != split}
    return Examination(name, found[split]), replace(setting, task=name, rows=rows)


def _usable(data: TaskData) -> dict[str, tuple[Example, ...]]:
    """The labelled rows of each split that has some."""
    found = {one: tuple(row for row in rows if data.task.is_usable(row)) for one, rows in data.splits.items()}
    return {one: rows for one, rows in found.items() if rows}


def _read(request: CompressRequest, before: Subject, name: str, observer: WorkObserver) -> TaskData:
    assert before.tuned is not None and request.task is not None
    mine = before.tuned.tasks[name]
    kind = None if named_path(request.task)[1].suffix in (".yaml", ".yml") else name_of(mine)
    source = request.find(request.task, kind=kind)
    if type(source.task) is not type(mine):
        raise UserError(f"{source.name} is {name_of(source.task)}, but the model answers {name_of(mine)}")
    observer.on_line(source.why)
    return read(replace(source, task=mine), needs_training=False)


def steps(setup: CompressSetup, observer: WorkObserver) -> tuple[list[StepRow], Subject]:
    """Returns all rows, and the model after the last step. Finished steps are read again."""
    before, folder = setup.before, setup.work / "0"
    with observer.working("measuring the model as it is") as advance:
        folder.mkdir(parents=True, exist_ok=True)
        examination = setup.examination and _asked(setup.examination, before, folder / "answers.json")
        if not (folder / "row.json").exists():
            row = _measured(setup, examination, before, "", folder)
            write_sealed(folder / "row.json", row.plain())
        rows = [StepRow.of(read_sealed(folder / "row.json", remedy=_AGAIN))]
        advance(1, 1, "")
    observer.on_value(rows[0])
    subject, finished = before, None  # the folder of the last model that was kept and is not read again yet
    for number, method in enumerate(setup.methods, start=1):
        folder = _folder(setup, number)
        if (folder / "row.json").exists():
            rows.append(StepRow.of(read_sealed(folder / "row.json", remedy=_AGAIN)))
            finished = folder / "model" if rows[-1].is_kept else finished
        else:
            if finished is not None:
                subject, finished = Subject.read(finished), None
            with observer.working(written(method)) as advance:
                after, row = _step(setup, examination, method, subject, folder, observer, advance)
                advance(1, 1, "")
            subject = after if row.is_kept else subject
            rows.append(row)
        observer.on_value(rows[-1])
    return rows, subject if finished is None else Subject.read(finished)


def _asked(examination: Examination, before: Subject, file: Path) -> Examination:
    """The examination with the uncompressed model's answers, which are asked once."""
    if file.exists():
        return replace(examination, before=[tupled(one) for one in read_sealed(file, remedy=_AGAIN)["answers"]])
    answers = examination.answers(before)
    write_sealed(file, {"answers": answers})
    return replace(examination, before=answers)


def _step(
    setup: CompressSetup,
    examination: Examination | None,
    method: Method,
    subject: Subject,
    folder: Path,
    observer: WorkObserver,
    advance: Advance,
) -> tuple[Subject, StepRow]:
    """One method carried out and measured, beside its control."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)  # a training that was stopped goes on in it
    setting = replace(
        setup.setting, folder=folder / "scratch", teacher=setup.before, observers=(observer,), advance=advance
    )
    begun = time.monotonic()
    after = method(subject, setting)
    seconds = time.monotonic() - begun
    row = replace(_measured(setup, examination, after, written(method), folder / "model"), seconds=seconds)
    control = method.control() if setup.request.controls else None
    if control is not None and examination is not None:
        (folder / "control").mkdir(exist_ok=True)
        beside = control(subject, replace(setting, folder=folder / "control"))
        row = replace(row, control=examination.quality(beside, examination.answers(beside)))
    speedup = median_speedup(row.latencies) if row.latencies else 1
    if speedup < (1 if method.must_be_faster else _CLEARLY_SLOWER):
        note = f"slower on this machine than the model as it was ({speedup:.2f}x as fast)"
        note = f"not kept, for it is {note}" if method.must_be_faster else note
        row = replace(row, is_kept=not method.must_be_faster, notes=(*row.notes, note))
    write_sealed(folder / "row.json", row.plain())
    return after, row


def _told_apart(rows: Sequence[Example]) -> list[list[str]]:
    """All that decides what rows come to."""
    return [[row.key, *row.texts, repr(row.label)] for row in rows]


def _folder(setup: CompressSetup, number: int) -> Path:
    """Where the step of this number is kept; what it holds depends on all methods up to it."""
    said = "+".join(written(one) for one in setup.methods[:number])
    return setup.work / f"{number}-{digest(said, length=8)}"


def _measured(
    setup: CompressSetup, examination: Examination | None, subject: Subject, label: str, folder: Path
) -> StepRow:
    """Everything about one model but its control; it is written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    row = sizes(subject, label, subject.write(folder))
    if examination is not None:
        answers = examination.before if subject is setup.before else examination.answers(subject)
        row = replace(row, quality=examination.quality(subject, answers))
    if setup.request.timed:
        row = replace(row, latencies=latencies(subject, setup.before, setup.setting.task))
    return row


def _refusal(setup: CompressSetup, rows: Sequence[StepRow], subject: Subject) -> tuple[str, ...]:
    """Why the last model is not written, and what it does to each layer; nothing where it is good enough."""
    last = next(row for row in reversed(rows) if row.is_kept).quality
    least = setup.request.at_least
    if least is None or last is None or last.keeps(least):
        return ()
    metric = last.metric.replace("_", " ")
    digits = next(n for n in range(1, 9) if f"{last.kept:.{n}%}" != f"{least:.{n}%}")
    said = f"the model keeps {last.kept:.{digits}%} of its {metric}, less than the {least:.{digits}%} asked for"
    each = [f"after {row.method}: {row.quality.kept:.1%}" for row in rows[1:] if row.quality is not None]
    return (f"{said}; nothing is written", *each, *damage(setup.before, subject, setup.setting))
