"""Fine-tuning as one call: a model and labelled rows in, figures and a model out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afterbert.api.asking import paths_of, settings_of
from afterbert.api.shown import ShowsItself, SmallTable
from afterbert.api.watch import Watch
from afterbert.base.small_files import read_json
from afterbert.downstream.figures.results import TaskResult
from afterbert.report.task_report import transfer_grids, write_task_report
from afterbert.workflows.finetune_request import FinetuneRequest, run_setup, set_up


@dataclass(frozen=True, repr=False)
class FinetunedRun(ShowsItself):
    """The result of `finetune`. It stands for its first model's folder wherever a path is wanted."""

    path: Path
    """The folder of all seeds."""
    title: str
    """What was fine-tuned on what."""
    results: tuple[TaskResult, ...]
    """For each task the figures of each split; none where strategies were compared, or where a signal stopped it."""
    models: tuple[Path, ...]
    """The model of each seed; none where strategies were compared."""
    exit_code: int = 0
    """0, or as shells report the signal that stopped it; the same call goes on."""
    step: int | None = None
    """The step at which a signal stopped the training."""
    compared: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Strategy -> the models that it left, of each task and seed; nothing where no strategies were compared."""

    def __fspath__(self) -> str:
        return str(self.models[0].parent if self.models else self.path)

    @property
    def model(self) -> Path | None:
        """The first seed's model."""
        return self.models[0] if self.models else None

    @property
    def figures(self) -> Path:
        """The file with all figures: `results.json`, or `comparison.json` of several strategies."""
        return self.path / ("comparison.json" if self.compared else "results.json")

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.path / "report.html"

    def table(self) -> SmallTable:
        rows = [] if not self.exit_code else [("state", "stopped; the same call goes on")]
        for result in self.results:
            for split, figures in result.splits.items():
                for name, spread in figures.metrics.items():
                    guess = figures.baseline_metrics[name]
                    rows.append((f"{result.name} {split}: {name}", f"{spread.mean:.3f} (guessing {guess:.3f})"))
        rows += [("model", str(self.model))] if self.model else []
        return SmallTable(self.title, [*rows, ("report", str(self.report))])


def finetune(
    model: Any,
    tasks: str | Path | Sequence[str | Path],
    *,
    kind: str | None = None,
    columns: Mapping[str, str | int] | None = None,
    transfer: str | Path | None = None,
    switch: str | Path | Sequence[str | Path] = (),
    epochs: float | None = None,
    budget: str | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    recipe: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    from_scratch: bool = False,
    out: str | Path | None = None,
) -> FinetunedRun:
    """Fine-tunes a model on labelled rows and scores it beside what guessing is worth.

    - model: a run that `pretrain` returned, a run or model folder, or a hub name.
    - tasks: labelled files or folders, as `PATH` or `NAME:PATH`; several are learned together.
    - kind, columns: corrections of a wrong guess; `{"text": "review", "label": 3}` says which column is what.
    - transfer: a folder of test sets beside the task's own, in other languages.
    - switch: lists of words and translations; training rows stand there again with them.
    - epochs, or budget ("5min", "500steps"): how long to train; three epochs when neither is given.
    - seeds, seed: how many runs, for mean and spread, and the seed of the first.
    - recipe: a paper's settings, `mt-dnn` or `t5`, or a YAML file. overrides: any other setting.

    The same call reads finished seeds and goes on with a stopped one. Raises UserError, with a line for each mistake,
    before anything is trained.
    """
    named = {"budget": budget, "num_seeds": seeds, "seed": seed}
    given = {key: value for key, value in named.items() if value is not None}
    written = ",".join(f"{part}={column}" for part, column in columns.items()) if columns else None
    request = FinetuneRequest(
        model=paths_of(model)[0],
        tasks=paths_of(tasks),
        out=None if out is None else Path(out),
        kind=kind,
        columns=written,
        transfer=None if transfer is None else Path(transfer),
        switch=paths_of(switch),
        epochs=epochs,
        recipe=recipe,
        from_scratch=from_scratch,
        overrides=tuple(settings_of({**given, **(overrides or {})})),
    )
    return carry_out(request)


def carry_out(request: FinetuneRequest) -> FinetunedRun:
    """Carries a request out with a progress bar, and writes the report. Raises UserError."""
    with Watch() as watch:
        setup = set_up(request, watch)
        done = run_setup(setup, observer=watch)
    setup = done.setup
    models: tuple[Path, ...] = ()
    compared = {}
    if not done.exit_code:
        write_task_report(setup.out, done.arms, title=setup.title)
        for grid in transfer_grids({arm: read_json(path) for arm, path in done.arms.items()}):
            watch.on_value(grid)
        first, count = setup.bench.settings.seed, setup.bench.settings.num_seeds
        if setup.plans:
            compared = {arm: _models_below(path.parent) for arm, path in done.arms.items()}
        else:
            models = tuple(setup.out / f"seed-{seed}" / "model" for seed in range(first, first + count))
    return FinetunedRun(setup.out, setup.title, done.results, models, done.exit_code, done.step, compared)


def _models_below(arm: Path) -> tuple[Path, ...]:
    """The models that a strategy ends with: those of its second stage, where it has one."""
    last = arm / "tasks" if (arm / "tasks").is_dir() else arm
    return tuple(sorted(path.parent for path in last.rglob("model/config.json")))
