"""Compression as one call: a model and methods in, a smaller model and its figures out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.api.asking import paths_of
from afterbert.api.shown import ShowsItself, SmallTable
from afterbert.api.watch import Watch
from afterbert.compression.measuring import StepRow
from afterbert.report.compression_report import row_lines, write_compression_report
from afterbert.workflows.compression import CompressOutcome, CompressRequest, prepare_compression, run_compression
from afterbert.workflows.compression_search import search


@dataclass(frozen=True, repr=False)
class CompressedModel(ShowsItself):
    """The result of `compress`. It stands for the smaller model's folder wherever a path is wanted."""

    path: Path
    title: str
    rows: tuple[StepRow, ...]
    """The figures of the original model, and those after each method."""
    refusal: tuple[str, ...] = ()
    """Why no model was written; empty if one was."""

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def report(self) -> Path:
        """The report, one HTML file beside the model."""
        return self.path / "report.html"

    def table(self) -> SmallTable:
        rows = [(row.method or "as it was", "; ".join(row_lines(row))) for row in self.rows]
        last = [("refused", line) for line in self.refusal] or [("model", str(self.path))]
        return SmallTable(self.title, [*rows, *last])


def compress(
    model: Any,
    methods: str | Sequence[str] = (),
    *,
    out: str | Path,
    task: str | Path | None = None,
    answered_as: str | None = None,
    split: str | None = None,
    at_least: float | None = None,
    target: str | None = None,
    minutes: float | None = None,
    columns: Mapping[str, str | int] | None = None,
    controls: bool = True,
    timed: bool = True,
    seed: int = 0,
    overwrite: bool = False,
) -> CompressedModel:
    """Makes a model smaller, and measures each step against the original.

    - model: a run that `pretrain` or `finetune` returned, a run or model folder, or a hub name.
    - methods: written as `"layers:keep=4"`; several are applied in their order.
    - task: labelled rows that judge it, as `PATH` or `NAME:PATH`; methods learn from their training rows.
    - answered_as: which of the model's tasks these are, if it answers several. split: the rows that judge; dev, else
      test.
    - at_least: the share of its quality (0.98) below which nothing is written.
    - target: in place of methods, the goal of a ladder of combinations: "4x faster", "10MB", "-1 point". minutes:
      the time after which no further combination is begun.
    - controls: whether a method that chooses is laid beside one that takes as much by chance. timed: whether latencies
      are measured.

    A call that was stopped goes on when it is made again. Raises UserError before any work if a method does not fit.
    """
    columns_said = ",".join(f"{part}={column}" for part, column in columns.items()) if columns else None
    request = CompressRequest(
        model=paths_of(model)[0],
        methods=(methods,) if isinstance(methods, str) else tuple(methods),
        out=Path(out),
        task=None if task is None else str(task),
        answered_as=answered_as,
        split=split,
        columns=columns_said,
        at_least=at_least,
        target=target,
        minutes=minutes,
        controls=controls,
        timed=timed,
        seed=seed,
        overwrite=overwrite,
    )
    done = carry_out_compression(request)
    return CompressedModel(request.out, title_of(done), done.rows, done.refusal)


def carry_out_compression(request: CompressRequest) -> CompressOutcome:
    """Carries a request out with a progress bar, and writes the report. Raises UserError."""
    with Watch() as watch:
        setup = prepare_compression(request, watch)
        done = run_compression(setup, watch) if request.target is None else search(setup, observer=watch)
    if done.model is not None:
        write_compression_report(done.model, done.rows, title=title_of(done))
    return done


def title_of(done: CompressOutcome) -> str:
    """Returns a title that names what was made smaller."""
    task = done.setup.setting.task
    return f"{done.setup.before.model.name}, smaller" + (f", judged on {task}" if task else "")
