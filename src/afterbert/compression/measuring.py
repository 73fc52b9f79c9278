"""What a step of compression came to: one row of figures for it, beside the model as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from pydantic import TypeAdapter

from afterbert.base.noise import Noise
from afterbert.compression.latency import Latency, latency, rows_by_chance
from afterbert.compression.subject import Subject
from afterbert.downstream.example import Example
from afterbert.downstream.figures.statistics import Interval, interval, paired_interval
from afterbert.downstream.finetuning.prediction import Answerer

SHAPES = tuple((batch_size, length) for batch_size in (1, 32) for length in (16, 64, 128))


@dataclass(frozen=True)
class Quality:
    """The quality of answers to a task."""

    metric: str
    rows: int
    score: Interval
    """The task's main metric, with its interval over rows."""
    change: Interval
    """Its difference to the uncompressed model, paired by rows."""
    kept: float
    """Its share of the uncompressed model's; of an error, the other way round."""

    def keeps(self, least: float) -> bool:
        """Returns whether it keeps this share, up to rounding."""
        return self.kept >= least - 1e-9


@dataclass(frozen=True)
class StepRow:
    """The figures of one step. The first step is the model as it was; its method is empty."""

    method: str
    parameters: int
    nonzero: int
    bytes: int
    """Of the weights on disk."""
    sparse_bytes: int | None
    """What they would take as float32 with a bit for each weight that tells whether it is 0; None where nearly none
    is."""
    flops: float
    """Multiply-adds, times two, for each piece of a row of `flops_length`."""
    flops_length: int
    quality: Quality | None = None
    control: Quality | None = None
    """Of the method's control."""
    latencies: tuple[Latency, ...] = ()
    notes: tuple[str, ...] = ()
    is_kept: bool = True
    """Whether the model went on with this step."""
    seconds: float = 0.0
    """That the method took."""

    def plain(self) -> dict[str, Any]:
        """Returns the row as JSON holds it."""
        return asdict(self)

    @staticmethod
    def of(plain: Mapping[str, Any]) -> StepRow:
        """Reads what `plain` gave."""
        return TypeAdapter(StepRow).validate_python(plain)


@dataclass(frozen=True)
class Examination:
    """The rows by which all steps are judged, and what the uncompressed model answers to them."""

    task: str
    rows: Sequence[Example]
    before: Sequence[Any] = field(default_factory=list)
    """The uncompressed model's answers; empty until it has been asked."""

    def answers(self, subject: Subject) -> list[Any]:
        """Returns a model's answers to the rows."""
        assert subject.tuned is not None
        found = Answerer(subject.tuned, self.task)(self.rows)
        return [one.value for one in found]

    def quality(self, subject: Subject, given: Sequence[Any]) -> Quality:
        """Returns the figures of these answers."""
        assert subject.tuned is not None
        task = subject.tuned.tasks[self.task]
        metric, truths, noise = task.metrics[0], [row.label for row in self.rows], Noise(0).of("bootstrap")
        score = interval(metric, [given], truths, noise=noise)
        change = paired_interval(metric, [given], [self.before or given], truths, noise=noise)
        before = score.estimate - change.estimate
        better, worse = (score.estimate, before) if metric.higher_is_better else (before, score.estimate)
        # a score of 0 or below (Matthews, a model that has hardly learned) is no whole to keep a share of
        kept = max(better / worse, 0.0) if worse > 0 else float(better >= worse)
        return Quality(metric.name, len(self.rows), score, change, float(kept))


def sizes(subject: Subject, method: str, bytes_on_disk: int) -> StepRow:
    """Returns the figures of a model that need neither a task nor time."""
    parameters, nonzero = subject.num_parameters(), subject.num_parameters(zeros=False)
    is_sparse = subject.kind == "weights" and nonzero < 0.99 * parameters
    length = min(128, subject.model.longest)
    return StepRow(
        method,
        parameters,
        nonzero,
        bytes_on_disk,
        4 * nonzero + parameters // 8 if is_sparse else None,
        subject.flops_per_token(length),
        length,
    )


def latencies(subject: Subject, before: Subject, task: str | None) -> tuple[Latency, ...]:
    """Times both models on each shape of batch (rows, pieces a row) that both can read. task: whose head answers, its
    only one if it is None; of a model without any, the hidden states are timed."""
    longest = min(subject.model.longest, before.model.longest)
    tasks = list(before.tuned.tasks) if before.tuned is not None else []
    named = task or next(iter(tasks), None)
    others = {} if named is None else {f"task/{named}": torch.zeros(0, dtype=torch.bool)}
    tables = [one.model.architecture.table_size(one.model.tokenizer.vocabulary) for one in (subject, before)]
    found = []
    for batch_size, length in (shape for shape in SHAPES if shape[1] <= longest):
        mine, other = (rows_by_chance(batch_size, length, size) | others for size in tables)
        found.append(latency(subject.predict, before.predict, mine, other))
    return tuple(found)
