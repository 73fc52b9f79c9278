"""Fine-tuning from end to end: a model and one task or many become predictions, figures with their
uncertainty, and a model."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from afterbert.base.config import to_plain
from afterbert.base.noise import Noise
from afterbert.base.runs import RunFolder
from afterbert.downstream.figures import results
from afterbert.downstream.figures.results import Predictions, TaskResult
from afterbert.downstream.finetuning.bench import Bench, Wrap, unwrapped
from afterbert.downstream.finetuning.judging import dev_figures, main_figure, split_figures, task_results
from afterbert.downstream.finetuning.kept_weights import Best, Patience
from afterbert.downstream.finetuning.mix import TaskMix, planned_steps
from afterbert.downstream.finetuning.probed_start import start_from_probes
from afterbert.downstream.finetuning.saving import save_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.thresholds import read_thresholds, threshold_lines, write_thresholds
from afterbert.downstream.reading.data import TaskData
from afterbert.interop.loaded import LoadedModel
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.devices import default_device
from afterbert.training.observers import Observer
from afterbert.training.trainer import Outcome, train

_CLEARLY = 0.005  # of the main metric: half a point


@dataclass(frozen=True)
class FineTuned:
    """results: one for each task; none where a signal stopped the run, which `outcome` then tells."""

    out: Path
    results: tuple[TaskResult, ...]
    outcome: Outcome | None


def finetune(
    model: LoadedModel,
    tasks: Sequence[TaskData],
    out: Path,
    settings: FineTuning,
    *,
    wrap: Wrap = unwrapped,
    device: torch.device | str | None = None,
    observers: Sequence[Observer] = (),
) -> FineTuned:
    """Trains `model` on the tasks' training rows, once for each seed, and scores it on every other split,
    beside what guessing is worth. wrap: turns the objective of the tasks into the one that is trained; device: the GPU
    where there is one if it is None.

    Writes `out/seed-N/` (a run folder with `model/` and `predictions/`) and `out/results.json`. Called again, finished
    seeds are read and a broken one goes on. Raises UserError for whatever the user can mend, before the first step.
    """
    return tune(Bench.of(model, tasks, settings, wrap=wrap, device=device, observers=observers), out)


def tune(bench: Bench, out: Path) -> FineTuned:
    """Does what `finetune` does with a bench that is ready."""
    settings = bench.settings
    runs: list[Predictions] = []
    seconds: list[float] = []
    for seed in settings.seeds:
        before = time.monotonic()
        found, outcome = predicted(bench, out, seed)
        if found is None:
            return FineTuned(out, (), outcome)
        if outcome is not None:
            seconds.append(time.monotonic() - before)
        runs.append(found)
    made = task_results(bench.asked, {data.name: [run[data.name] for run in runs] for data in bench.tasks})
    facts = {
        "model": bench.asked.model.name,
        "settings": to_plain(settings),
        "seconds": seconds,
        "notes": list(bench.notes),
        "mix": mixes(bench, out),
        "thresholds": thresholds(bench, out),
        "remarks": remarks(bench, out),
    }
    results.write_results(out / "results.json", made, facts)
    return FineTuned(out, made, None)


def predicted(bench: Bench, out: Path, seed: int) -> tuple[Predictions | None, Outcome | None]:
    """Returns the predictions of the run `out/seed-N`. A finished run is read (then there is no outcome); else it is
    trained or gone on with."""
    run = RunFolder.create(out, f"seed-{seed}")
    found = results.read_predictions(run.path, bench.tasks, identity=bench.identity(seed))
    if found is not None:
        return found, None
    with run.unless_refused():
        return one_seed(bench, run, seed)


def thresholds(bench: Bench, out: Path) -> dict[str, Any]:
    """Returns by seed what heads chose on dev rows; empty if none chose anything."""
    return {str(seed): told for seed in bench.settings.seeds if (told := read_thresholds(out / f"seed-{seed}"))}


def remarks(bench: Bench, out: Path) -> list[str]:
    """Returns remarks on the runs besides their figures: what was chosen on dev, and where dev was better earlier."""
    chosen = [line for seed, told in thresholds(bench, out).items() for line in threshold_lines(int(seed), told)]
    return [*chosen, *better_before(bench, out)]


def better_before(bench: Bench, out: Path) -> list[str]:
    """Returns a line for each seed that did clearly better on dev before its end, when the last weights are kept."""
    if bench.settings.chooses:
        return []
    lines = []
    for seed in bench.settings.seeds:
        records = RunFolder.open(out / f"seed-{seed}").metrics.read()
        seen = {r["step"]: r["figures"] for r in records if r["kind"] == "evaluation" and r["figures"]}
        figures = {step: main_figure(bench.tasks, found) for step, found in seen.items()}
        best = max(figures, key=lambda step: figures[step], default=None)
        if best is not None and figures[best] - figures[max(figures)] > _CLEARLY:
            lines.append(
                f"seed {seed}: dev was better after step {best}, {figures[best]:.1%} in place of "
                f"{figures[max(figures)]:.1%} at the end (mean of the tasks' first metrics); --keep best takes "
                "those weights"
            )
    return lines


def mixes(bench: Bench, out: Path, *, least: int = 2) -> dict[str, Any]:
    """Returns the mix as `planned` (None if a time is the budget) and, by seed, as `realised`; empty for fewer sources
    than `least`."""
    settings = bench.settings
    if len(bench.asked.batches.units) < least:
        return {}
    steps = planned_steps(bench)
    planned = None if steps is None else TaskMix.of(bench, seed=settings.seed, steps=steps).plain()
    realised = {}
    for seed in settings.seeds:
        status = RunFolder.open(out / f"seed-{seed}").status()
        if status is not None and status.step:
            realised[str(seed)] = TaskMix.of(bench, seed=seed, steps=status.step).plain()
    return {"planned": planned, "realised": realised}


def one_seed(bench: Bench, run: RunFolder, seed: int) -> tuple[Predictions | None, Outcome | None]:
    """Trains and predicts once; no predictions where a signal came before the end."""
    settings, asked = bench.settings, bench.asked
    bench.check_choice()
    torch.manual_seed(seed)
    module = bench.module().to(bench.device or default_device())
    if asked.head_start == "probed":
        start_from_probes(module, asked, Noise(seed).of("probe"))
    best = Best(run.path)
    stops = [] if settings.patience is None else [Patience(best, settings.patience)]

    def evaluate(trained: ObjectiveModule, step: int) -> Mapping[str, float]:
        figures = dev_figures(asked, trained)
        if settings.chooses and figures:
            best.see(trained, step, main_figure(bench.tasks, figures))
        return figures

    outcome = train(
        run,
        module,
        bench.feed(seed),
        settings.training(seed),
        identity=bench.identity(seed),
        evaluate=evaluate,
        observers=[*bench.observers, *stops],
    )
    if outcome.state == "preempted":
        return None, outcome
    if outcome.enough:
        run.report(state="finished", message=f"stopped early: {outcome.enough}")
    if settings.chooses:
        best.restore(module)
    module.eval()
    tuned = asked.calibrated(module)
    answered = {
        name: {
            split: (asked if split == "dev" else tuned).answered(module, name, split)
            for split in splits
            if split != "train"
        }
        for name, splits in asked.prepared.items()
    }
    found = {
        name: {split: [one.value for one in told] for split, told in splits.items()}
        for name, splits in answered.items()
    }
    save_finetuned(run.model, module, tuned, split_figures(asked.tasks, found))
    write_thresholds(run.path, asked, tuned, module, found)
    kept = {data.name: {split: data.readable(split) for split in found[data.name]} for data in asked.tasks}
    results.write_predictions(run.path, answered, kept, identity=bench.identity(seed))
    best.forget()
    for checkpoint in run.checkpoints.iterdir():
        results.remove(checkpoint)
    return found, outcome
