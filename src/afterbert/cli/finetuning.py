"""What `finetune` and `score` do: tasks found and looked over, settings read, figures as tables."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.table import Table

from afterbert.api.tables import drawn
from afterbert.api.terminal import console, safe
from afterbert.api.watch import Watch
from afterbert.base.budget import Budget
from afterbert.base.config import build, digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.runs import RunFolder
from afterbert.base.tree import Node, located, merge, override
from afterbert.base.visible import visible
from afterbert.cli import many_tasks
from afterbert.downstream.example import Example
from afterbert.downstream.figures.results import TaskResult
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.evaluation import evaluate, task_name, write_evaluated
from afterbert.downstream.finetuning.mix import TaskMix, planned_steps
from afterbert.downstream.finetuning.rate_search import search
from afterbert.downstream.finetuning.runs import FineTuned, better_before, thresholds, tune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.strategy_runs import StrategyRun, follow
from afterbert.downstream.finetuning.thresholds import threshold_lines
from afterbert.downstream.metrics import in_print
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.find_task import find_task, named_path, parse_columns
from afterbert.downstream.reading.source import TaskSource
from afterbert.downstream.task_name import shortened
from afterbert.downstream.tasks import labels_of
from afterbert.downstream.tasks.minimal_pairs import MinimalPairs
from afterbert.interop.loaded import LoadedModel
from afterbert.probes.minimal_pairs import MinimalPairsProbe, short_enough
from afterbert.probes.readings import reading_of
from afterbert.report.task_report import write_task_report
from afterbert.training.observers import Observer
from afterbert.workflows.loading import load_model_or_checkpoint


@dataclass(frozen=True)
class FinetuneRequest:
    """What the user asked of `finetune`. epochs: another way to write the budget."""

    model: str
    tasks: tuple[str, ...]
    out: Path | None = None
    kind: str | None = None
    format: str | None = None
    columns: str | None = None
    drop_leaked: bool = False
    epochs: float | None = None
    recipe: str | None = None
    strategies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    unlabelled_recipe: str | None = None
    from_scratch: bool = False
    overrides: tuple[tuple[str, str], ...] = ()
    search: str | None = None
    dry_run: bool = False


def fine_tune(request: FinetuneRequest) -> int:
    """The exit status: 0 finished, 143 or 130 stopped by a signal with everything saved."""
    settings = settings_of(request)
    _check_heeded(request)
    sources = [_found(spec, request.kind, request.format, request.columns) for spec in request.tasks]
    tasks = [_read(source, drop_leaked=request.drop_leaked) for source in sources]
    model = load_model_or_checkpoint(request.model)
    model = model.from_scratch() if request.from_scratch else model
    texts = many_tasks.texts_of(request.unlabelled, request.unlabelled_recipe, model, settings)
    bench = Bench.of(model, tasks, settings, texts=texts)
    steps = many_tasks.steps_of_t5(bench, [key for key, _ in request.overrides])
    if request.recipe is None and steps is not None:
        settings = settings_of(request, usual=steps)
        bench = replace(bench, settings=settings)
        console.print("steps: AdaFactor, as T5 is fine-tuned; --optimizer.type adamw takes others")
    bench.check_names()
    bench.check_choice()
    if request.search is not None and request.strategies:
        raise UserError("--search-learning-rate searches one rate for one run; leave --strategy out")
    plans = many_tasks.staged(
        many_tasks.strategies_of(request.strategies),
        bench,
        many_tasks.groups_of(request.groups, [task.name for task in tasks]),
    )
    _say_notes(bench.notes)
    if not request.drop_leaked and any(data.leaked for data in tasks):
        console.print("--drop-leaked leaves rows that stand in another split out of train")
    _say_rows(bench)
    if plans:
        many_tasks.say_plan(plans)
    _say_mix(
        bench, "the mix of all" if plans else "the mix to come", planned_steps(settings.budget, bench.feed())
    )
    if request.dry_run:
        print(visible(yaml.safe_dump(to_plain(settings), sort_keys=False, allow_unicode=True)), end="")
        return 0
    out = request.out or _folder_for(bench, request.search)
    console.print(f"writes to: {safe(str(out))}")
    if request.search is not None:
        rate = _searched(bench, Budget.parse(request.search), out / "search")
        if rate is None:
            console.print("stopped in the search, everything saved; the same command goes on")
            return 128 + signal.SIGINT
        settings = settings.with_learning_rate(rate)
        bench = replace(bench, settings=settings)
    if plans:
        return _compare(plans, out)
    with _WatchEach(settings.num_seeds) as watch:
        done = tune(bench, out, device=_device(), observers=[watch])
    if done.outcome is not None:
        console.print(f"stopped at step {done.outcome.step}, everything saved; the same command goes on")
        return done.outcome.exit_code
    for number in range(settings.seed, settings.seed + settings.num_seeds):
        status = RunFolder.open(out / f"seed-{number}").status()
        if status is not None:
            _say_mix(bench, f"the mix as it was, seed {number}", status.step, seed=number)
    print_results(done.results)
    for seed, told in thresholds(bench, out).items():
        _say_notes(threshold_lines(int(seed), told))
    _say_notes(better_before(bench, out))
    write_task_report(
        out, {"together" if len(tasks) > 1 else tasks[0].name: out / "results.json"}, title=_title(bench)
    )
    _say_places(done, bench)
    return 0


def _check_heeded(request: FinetuneRequest) -> None:
    """Raises UserError for an option that another one would have to give an effect."""
    strategies = [word.replace("-", "_") for word in request.strategies]
    if request.groups and not any("leave_one_out" in word or word == "all" for word in strategies):
        raise UserError(
            "--group has an effect with --strategy leave_one_out alone; leave it out, or name that"
        )
    if request.unlabelled_recipe is not None and not request.unlabelled:
        raise UserError("--unlabelled-recipe says what --unlabelled texts ask, but none are named; name some")


def _searched(bench: Bench, budget: Budget, out: Path) -> float | None:
    """The learning rate that the search finds, with its table; None where a signal stopped it."""
    found = search(bench, budget, out, device=_device())
    table = Table(
        box=None, header_style="bold", title="search on held-out training rows", title_justify="left"
    )
    for column in ("round", "steps", "learning rate", "figure"):
        table.add_column(column, justify="right")
    for trial in found.trials:
        best = trial == max(
            (t for t in found.trials if t.round == trial.round), key=lambda t: (t.figure, -t.learning_rate)
        )
        figure = "diverged" if math.isinf(trial.figure) else f"{trial.figure:.4f}"
        table.add_row(
            str(trial.round),
            f"{trial.steps:,}",
            f"{trial.learning_rate:g}",
            f"[bold]{figure}[/bold]" if best else figure,
        )
    console.print(table)
    if found.learning_rate is not None:
        console.print(f"learning rate: {found.learning_rate:g}")
    return found.learning_rate


def _compare(plans: Mapping[str, StrategyRun], out: Path) -> int:
    """Carries out each strategy, prints what each scores, and lays them side by side. The exit status."""
    arms = {}
    for name, staging in plans.items():
        console.print(f"strategy [bold]{name}[/bold]")
        with _WatchEach(staging.settings.num_seeds) as watch:
            done = follow(staging, out / name, device=_device(), observers=[watch])
        if done.outcome is not None:
            console.print(f"stopped at step {done.outcome.step}, everything saved; the same command goes on")
            return done.outcome.exit_code
        many_tasks.say_realised(out / name / "results.json")
        print_results(done.results)
        arms[name] = out / name / "results.json"
    page = write_task_report(out, arms, title=f"Strategies: {', '.join(plans)}")
    console.print(f"report:      {safe(str(page))}")
    console.print(f"figures:     {safe(str(out / 'comparison.json'))}")
    return 0


def _title(bench: Bench) -> str:
    return f"{bench.model.name} on {', '.join(data.name for data in bench.tasks)}"


def settings_of(request: FinetuneRequest, *, usual: Node | None = None) -> FineTuning:
    """Defaults with what is `usual` for the model, and then what was given, laid over them. Raises UserError with
    every mistake."""
    given = dict(request.overrides)
    if request.epochs is not None:
        if "budget" in given:
            raise UserError(
                f"--epochs {request.epochs:g} and --budget {given['budget']} say two lengths; keep one"
            )
        given["budget"] = f"{request.epochs:g}epochs"
    tree = located(to_plain(FineTuning()), "defaults")
    if usual is not None:
        tree = merge(tree, usual)
    if request.recipe is not None:
        tree = merge(tree, many_tasks.paper(request.recipe))
    for dotted, written in given.items():
        tree = override(tree, dotted.removeprefix("finetuning."), written)
    said = {"--budget": "--epochs"} if request.epochs is not None else {}
    return build(FineTuning, _in_their_own_words(tree, said))


def _in_their_own_words(node: Node, also: Mapping[str, str]) -> Node:
    """The tree with origins as the verb spells its options, and as `also` says."""
    said = {
        "--num_seeds": "--seeds",
        "--optimizer.learning_rate": "--learning-rate",
        "--batch_size": "--batch-size",
        "--layer_decay": "--layer-decay",
        "--class_weights": "--class-weights",
    } | dict(also)
    value = node.value
    if isinstance(value, dict):
        value = {key: _in_their_own_words(child, also) for key, child in value.items()}
    return Node(value, said.get(node.origin, node.origin))


def score_task(folder: str, spec: str, *, task: str | None, kind: str | None, columns: str | None) -> None:
    """A fine-tuned model's figures on the rows of a task file, as a table; its predictions, also for rows without
    labels, are saved."""
    loaded = load_finetuned(folder, device=_device())
    if kind is None and named_path(spec)[1].suffix not in (".yaml", ".yml"):
        kind = name_of(loaded.tasks[task_name(loaded, task)])
    source = _found(spec, kind, None, columns, needs_label=False)
    done = evaluate(loaded, source, task=task, device=_device())
    _say_notes(done.data.notes)
    if done.result.splits:
        print_results([done.result])
    else:
        console.print("no row has a label, so nothing can be scored")
    made_of = {
        "model": str(Path(folder).resolve()),
        "task": spec,
        "as": task,
        "kind": kind,
        "columns": columns,
    }
    out = Path("runs", f"score-{done.data.name}-{digest(made_of, length=8)}")
    write_evaluated(out, done, model=folder)
    console.print(f"predictions: {safe(str(out / 'predictions'))}")
    console.print(f"figures:     {safe(str(out / 'results.json'))}")


def score_pairs(name: str, spec: str, *, columns: str | None, max_pairs: int | None) -> None:
    """How often a model finds the better sentence of a pair likelier, overall and by group. Raises UserError."""
    source = _found(spec, "minimal_pairs", None, columns)
    data = read(source, needs_training=False)
    loaded = load_model_or_checkpoint(name)
    language_model = loaded.language_model(device=_device())
    predict = language_model.predict
    _say_notes([*loaded.notes, *filter(None, [language_model.note]), *data.notes])
    question = MinimalPairsProbe(reading=reading_of(loaded.architecture))
    table = Table(box=None, header_style="bold", title_justify="left")
    for column in ("pairs of", "count", "right", "the shorter one"):
        table.add_column(column, justify="left" if column == "pairs of" else "right")
    for split in data.splits:
        rows = _readable_pairs(loaded, data, split, max_pairs)
        pairs = [(row.texts[0], row.texts[1]) for row in rows]
        groups = [row.group for row in rows]
        found = question(predict, loaded.tokenizer, pairs, groups, device=_device())
        guesses = MinimalPairs().baseline((), rows).predictions
        for group in [*filter(None, found.by_group), ""]:
            mine = [guess for guess, one in zip(guesses, groups) if not group or one == group]
            right = found.by_group[group] if group else found.accuracy
            table.add_row(
                safe(group or f"{data.name} {split}"),
                f"{len(mine):,}",
                f"{right:.1%}",
                f"{mine.count(0) / len(mine):.1%}",
            )
    console.print(table)
    console.print(f"read {question.reading.replace('_', ' ')}; likelihoods are sums over pieces")


def _readable_pairs(loaded: LoadedModel, data: TaskData, split: str, most: int | None) -> list[Example]:
    """The first `most` pairs of a split, without those that are too long; how many that were is said. Raises UserError
    where none is left."""
    rows, longest = data.usable(split)[:most], loaded.longest
    kept = short_enough([(row.texts[0], row.texts[1]) for row in rows], loaded.tokenizer, longest=longest)
    if len(kept) < len(rows):
        said = f"{split}: {len(rows) - len(kept):,} of {len(rows):,} pairs are longer than the {longest} pieces that"
        if not kept:
            raise UserError(f"{said} the model reads; nothing is left to ask")
        _say_notes([f"{said} the model reads, and left out"])
    return [rows[number] for number in kept]


def print_results(results: Sequence[TaskResult]) -> None:
    """A line for each metric: what guessing scores, mean and spread over seeds; for the main metric the
    interval and the gain over guessing."""
    table = Table(box=None, header_style="bold")
    for column in ("task", "rows", "metric", "guessing", "mean", "spread", "95% interval", "gain"):
        table.add_column(column, justify="left" if column in ("task", "metric") else "right")
    for result in results:
        for split, figures in result.splits.items():
            for number, (name, spread) in enumerate(figures.metrics.items()):
                scale = partial(in_print, name)
                first = number == 0
                table.add_row(
                    safe(f"{result.name} {split}") if first else "",
                    f"{figures.rows:,}" if first else "",
                    name,
                    scale(figures.baseline_metrics[name]),
                    f"[bold]{scale(spread.mean)}[/bold]" if first else scale(spread.mean),
                    "" if spread.deviation is None else scale(spread.deviation),
                    f"{scale(figures.interval.low)} to {scale(figures.interval.high)}" if first else "",
                    _gain(figures.gain, scale) if first else "",
                )
    console.print(table)
    for result in results:
        for split, figures in result.splits.items():
            if any(figures.no_answers):
                counts = ", ".join(f"{count:,}" for count in figures.no_answers)
                console.print(
                    f"{safe(result.name)} {split}: {counts} of {figures.rows:,} written answers are none of the task's "
                    "and count as wrong"
                )
    guesses = {f"{r.name}: {figures.baseline}" for r in results for figures in r.splits.values()}
    for line in sorted(guesses):
        console.print(f"guessing for {safe(line)}")


def _gain(gain: Any, scale: Any) -> str:
    sign = "+" if gain.estimate >= 0 else ""
    return f"{sign}{scale(gain.estimate)} ({scale(gain.low)} to {scale(gain.high)})"


def _found(
    spec: str, kind: str | None, format: str | None, columns: str | None, *, needs_label: bool = True
) -> TaskSource:
    given = parse_columns(columns) if columns else None
    source = find_task(spec, kind=kind, format=format, columns=given, needs_label=needs_label)
    console.print(safe(source.why))
    return source


def _read(source: TaskSource, *, drop_leaked: bool) -> TaskData:
    data = read(source)
    return data.without_leaks() if drop_leaked else data


def _say_notes(notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"note: {safe(note)}")


def _say_rows(bench: Bench) -> None:
    for data in bench.tasks:
        counts = ", ".join(f"{split} {len(rows):,}" for split, rows in data.splits.items())
        labels = labels_of(data.task)
        classes = f"; {len(labels)} labels: {', '.join(map(str, labels[:6]))}" if labels else ""
        more = ", ..." if len(labels) > 6 else ""
        console.print(safe(f"{data.name}: rows: {counts}{classes}{more}"))


def _say_mix(bench: Bench, title: str, steps: int | None, *, seed: int | None = None) -> None:
    """Of several sources: how many of the steps' rows come from each; of one round where a time is the budget."""
    feed = bench.feed()
    if len(feed.units) < 2:
        return
    mix = TaskMix.of(
        feed, seed=bench.settings.seed if seed is None else seed, steps=steps or sum(feed.sizes.values())
    )
    console.print(drawn(mix, title if steps else f"{title}, each"))


def _say_places(done: FineTuned, bench: Bench) -> None:
    first = done.out / f"seed-{bench.settings.seed}"
    every = (
        f" (and {bench.settings.num_seeds - 1} more seeds beside it)" if bench.settings.num_seeds > 1 else ""
    )
    console.print(f"model:       {safe(str(first / 'model'))}{every}")
    console.print(f"predictions: {safe(str(first / 'predictions'))}")
    console.print(f"figures:     {safe(str(done.out / 'results.json'))}")
    console.print(f"report:      {safe(str(done.out / 'report.html'))}")


def _folder_for(bench: Bench, searched: str | None) -> Path:
    """A folder named by all that decides the figures but the number of seeds, so that the same command finds
    its runs again, and more seeds join them. searched: the budget of a search, which another one does not join."""
    made_of = bench.identity(bench.settings.seed).plain() | ({"search": searched} if searched else {})
    names = shortened("-".join(data.name for data in bench.tasks))
    return Path("runs", f"finetune-{names}-{digest(made_of, length=8)}{'-searched' if searched else ''}")


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


class _WatchEach(Observer):
    """A fresh bar for each seed's run."""

    def __init__(self, num_seeds: int) -> None:
        self._num_seeds, self._begun = num_seeds, 0
        self._watch = Watch()

    def on_start(self, *, step: int, total_steps: int) -> None:
        self._watch.close()
        self._watch = Watch()
        self._begun += 1
        if self._num_seeds > 1:
            console.print(f"run {self._begun} (of {self._num_seeds} seeds at most)")
        self._watch.on_start(step=step, total_steps=total_steps)

    def on_step(self, record: Mapping[str, Any]) -> None:
        self._watch.on_step(record)

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        self._watch.on_evaluation(record)

    def on_checkpoint(self, *, step: int, path: Path) -> None:
        self._watch.on_checkpoint(step=step, path=path)

    def on_note(self, text: str) -> None:
        self._watch.on_note(text)

    def __enter__(self) -> _WatchEach:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()
