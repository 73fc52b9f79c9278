"""A model asked about labelled rows: by its fine-tuned head, by a cue, by a linear probe, or by pairs of sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base import plugins
from afterbert.base.config import build, digest, to_plain
from afterbert.base.destination import check_writable
from afterbert.base.errors import UserError
from afterbert.base.tree import Node, located, override
from afterbert.downstream.cues import Cue
from afterbert.downstream.example import Example
from afterbert.downstream.figures.results import TaskResult
from afterbert.downstream.finetuning.evaluation import evaluate, task_name, write_evaluated
from afterbert.downstream.finetuning.saving import finetuned_folder, load_finetuned
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.find_task import DataOptions, named_path
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.minimal_pairs import some_of_each
from afterbert.downstream.zero_shot.cue_scoring import ask, check_cue, write_cued
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.interop.loaded import LoadedModel
from afterbert.probes.figure import Figure
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel
from afterbert.probes.readings import reading_of
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.pieces.unknown import UnknownPieces
from afterbert.training.devices import default_device
from afterbert.workflows.closing import check_probe, preferred, probe_figures, readable
from afterbert.workflows.loading import load_model_or_checkpoint
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.prediction import check_unknown


@dataclass(frozen=True)
class ScoreRequest(DataOptions):
    """The request to score a trained model."""

    model: str
    """A folder that fine-tuning made; for cues, probes and pairs any model."""
    rows: str
    """NAME:PATH, PATH, a task file or hub:NAME."""
    task: str | None = None
    """Which of a fine-tuned model's tasks, of several."""
    settings: tuple[tuple[str, str], ...] = ()
    """Of a cue or a probe, by dotted path."""
    most: int | None = None
    """Rows or pairs of a file that are asked at most."""
    max_unknown: float = 0.1
    """The largest share of pieces that the tokenizer may not know."""

    def plain(self) -> dict[str, Any]:
        """Returns all that decides the result, by which its folder is named."""
        made_of = to_plain(self) | {"model": str(Path(self.model).resolve())}
        return {name: value for name, value in made_of.items() if name not in ("max_unknown", "splits")}


@dataclass(frozen=True)
class ScoredRows:
    """Figures and where they, and the predictions, lie. results: none where no row has a label."""

    folder: Path
    results: tuple[TaskResult, ...]


@dataclass(frozen=True)
class PairsFigure:
    """The share of pairs whose better sentence is likelier."""

    name: str
    count: int
    right: float
    shorter: float
    """How often the better one is the shorter one."""


def score_by_head(request: ScoreRequest, observer: WorkObserver) -> ScoredRows:
    """Returns the figures of a fine-tuned model; predictions are saved, also without labels. Raises UserError."""
    folder, notes = finetuned_folder(Path(request.model))
    loaded = load_finetuned(folder)
    name = task_name(loaded, request.task)
    kind: str | Task | None = request.kind
    if kind is None and named_path(request.rows)[1].suffix not in (".yaml", ".yml"):
        kind = loaded.tasks[name]
    usual = loaded.columns.get(name, {}) if isinstance(kind, Task) else {}
    source = request.find(request.rows, kind=kind, usual=usual, needs_label=False)
    observer.on_line(source.why)
    out = Path("runs", f"score-{source.name}-{digest(request.plain(), length=8)}")
    check_writable(out)
    done = evaluate(loaded, source, task=request.task)
    _tell([*notes, *done.data.notes], observer)
    _tell_unknown(request, done.data, loaded.model.tokenizer, observer)
    write_evaluated(out, done, model=str(folder))
    return ScoredRows(out, (done.result,) if done.result.splits else ())


def score_by_cue(request: ScoreRequest, cue_name: str, observer: WorkObserver) -> ScoredRows:
    """Returns the figures of a model that was never trained on the task, beside guessing and the same model without the
    cue. Raises UserError."""
    cue = _settled(plugins.find(Cue, cue_name)(), "cue", request.settings)
    data = _read(request, observer, needs_training=False)
    check_cue(data, cue)
    made_of = request.plain() | {"cue": to_plain(cue)}
    out = Path("runs", f"cue-{data.name}-{plugins.name_of(cue)}-{digest(made_of, length=8)}")
    check_writable(out)
    generator = TextGenerator.of(load_model_or_checkpoint(request.model), device=default_device())
    _tell_unknown(request, data, generator.model.tokenizer, observer)
    with observer.working("asking") as advance:
        advance(0.0, 1.0, f"{plugins.name_of(cue)}, with and without the cue")
        done = ask(generator, data, cue, max_rows=request.most)
    if not done.result.splits:
        raise UserError(f"{request.rows}: no row has a label, so nothing can be scored")
    write_cued(out, done, model=request.model, cue=cue)
    return ScoredRows(out, (done.result, done.control))


def score_by_probe(request: ScoreRequest, observer: WorkObserver) -> list[Figure]:
    """Returns the figures of a linear probe beside random weights and guessing, for each labelled split besides the
    training rows. Raises UserError."""
    probe = _settled(FrozenFeatures(), "probe", request.settings)
    data = _read(request, observer, needs_training=True)
    check_probe(data)
    model = load_model_or_checkpoint(request.model)
    _tell_unknown(request, data, model.tokenizer, observer)
    backbone = model.backbone().to(default_device()).eval()
    return probe_figures(FrozenModel(model.architecture, backbone, model.tokenizer), data, probe)


def score_pairs(request: ScoreRequest, observer: WorkObserver) -> list[PairsFigure]:
    """Returns how often a model finds the better sentence of a pair likelier, by group and overall, for each file.
    Raises UserError."""
    data = _read(request, observer, kind="minimal_pairs", needs_training=False)
    loaded = load_model_or_checkpoint(request.model)
    language_model = loaded.language_model(device=default_device())
    _tell([*loaded.notes, *filter(None, [language_model.note])], observer)
    _tell_unknown(request, data, loaded.tokenizer, observer)
    figures = []
    for split in data.splits:
        rows = _readable_pairs(loaded, data, split, request.most, observer)
        found, guesses = preferred(language_model, loaded.tokenizer, rows)
        for group in [*filter(None, found.by_group), ""]:
            mine = [guess for guess, row in zip(guesses, rows) if group in ("", row.group)]
            right = found.by_group[group] if group else found.accuracy
            name = group or f"{data.name} {split}"
            figures.append(PairsFigure(name, len(mine), right, mine.count(0) / len(mine)))
    said = reading_of(loaded.architecture).replace("_", " ")
    observer.on_line(f"read {said}; likelihoods are sums over pieces")
    return figures


def _readable_pairs(
    loaded: LoadedModel, data: TaskData, split: str, most: int | None, observer: WorkObserver
) -> list[Example]:
    """At most `most` pairs of a split, of all kinds alike, without those that are too long; how many that were is told.
    Raises UserError if none is left."""
    rows = some_of_each(data.usable(split), most)
    kept = readable(rows, loaded.tokenizer, loaded.architecture)
    if len(kept) < len(rows):
        longer = f"{len(rows) - len(kept):,} of {len(rows):,} pairs are longer than the {loaded.longest} pieces that"
        if not kept:
            raise UserError(f"{split}: {longer} the model reads; nothing is left to ask")
        observer.on_note(f"{split}: {longer} the model reads, and left out")
    return kept


def _read(request: ScoreRequest, observer: WorkObserver, *, needs_training: bool, kind: str | None = None) -> TaskData:
    """The rows of a task that no head was trained for."""
    source = request.find(request.rows, kind=kind or request.kind)
    observer.on_line(source.why)
    learns = needs_training or (kind is None and "train" in source.files)
    data = read(source, needs_training=learns)
    _tell(data.notes, observer)
    return data


def _tell_unknown(request: ScoreRequest, data: TaskData, tokenizer: Tokenizer, observer: WorkObserver) -> None:
    """How many pieces of the rows the tokenizer does not know, where there are any. Raises UserError for too many."""
    texts = [text for rows in data.splits.values() for row in rows for text in row.texts]
    found = UnknownPieces.in_texts(texts, tokenizer)
    _tell(check_unknown(found, f"the rows of {data.name}", request.max_unknown), observer)


def _tell(notes: Sequence[str], observer: WorkObserver) -> None:
    for note in notes:
        observer.on_note(note)


def _settled(defaults: Any, node: str, settings: Sequence[tuple[str, str]]) -> Any:
    """The defaults with `--NODE.KEY VALUE` laid over them. Raises UserError."""
    tree: Node = located(to_plain(defaults), "defaults")
    for dotted, written in settings:
        tree = override(tree, dotted.removeprefix(f"{node}."), written, f"--{dotted}")
    kind = Cue if isinstance(defaults, Cue) else type(defaults)
    return build(kind, tree)
