"""What a person sees of a value that has a form of its own: a table on a terminal."""

import math
from dataclasses import asdict
from functools import singledispatch

from rich.console import Group, RenderableType

from afterbert.api.terminal import safe, table
from afterbert.compression.measuring import StepRow
from afterbert.downstream.finetuning.mix import TaskMix
from afterbert.downstream.finetuning.rate_search import SearchOutcome
from afterbert.report import figures as written
from afterbert.report.alignment_report import alignment_grid
from afterbert.report.compression_report import row_lines
from afterbert.report.grid import Grid
from afterbert.report.task_details import metrics_grid
from afterbert.study.race import Racer, RaceResult
from afterbert.workflows.alignment import Alignment


@singledispatch
def drawn(value: object, title: str = "") -> RenderableType:
    """Draws a value as rich does: a table where one is known for its class, else its text."""
    return f"{title}: {safe(str(value))}" if title else safe(str(value))


@drawn.register
def _(mix: TaskMix, title: str = "") -> RenderableType:
    """How many of the steps' rows come from each source, and how many rounds through it that is."""
    columns = ("source", ">training rows", ">rows drawn", ">share", ">epochs")
    made = table(*columns, title=f"{title}: {mix.steps:,} steps")
    for name, one in mix.plain()["sources"].items():
        made.add_row(safe(name), f"{one['rows']:,}", f"{one['drawn']:,}", f"{one['share']:.1%}", f"{one['epochs']:.2f}")
    return made


@drawn.register
def _(plans: dict, title: str = "") -> RenderableType:
    """For each strategy the steps of its stages, and what is mixed in the first."""
    made = table("strategy", ">first stage", ">its own stage", "mixed in the first stage", title=title)
    for name, staging in plans.items():
        first, second = staging.strategy.steps(staging.total, has_first=staging.has_first)
        mixed = dict.fromkeys(
            f"{staging.stage(data.name)}: {', '.join(staging.sources(data.name)) or 'nothing'}"
            for data in staging.bench.tasks
        )
        made.add_row(name, f"{first:,}", f"{second:,}", safe("; ".join(mixed)))
    return made


@drawn.register
def _(found: SearchOutcome, title: str = "") -> RenderableType:
    """What each learning rate came to, the best of each round in bold."""
    made = table(">round", ">steps", ">learning rate", ">figure", title=title)
    for trial in found.trials:
        best = trial == max(
            (t for t in found.trials if t.round == trial.round), key=lambda t: (t.figure, -t.learning_rate)
        )
        figure = "diverged" if math.isinf(trial.figure) else f"{trial.figure:.4f}"
        made.add_row(
            str(trial.round),
            f"{trial.steps:,}",
            f"{trial.learning_rate:g}",
            f"[bold]{figure}[/bold]" if best else figure,
        )
    return made


@drawn.register
def _(result: RaceResult, title: str = "") -> RenderableType:
    """What each recipe reached for the same budget, and how sure it is that it beats the first; times to a goal."""
    by_loss, goal = result.request.by_loss, result.request.to
    write = written.number if by_loss else written.percent
    measure = "held-out loss" if by_loss else "masked accuracy"
    columns = [">tokens/s", ">tokens", f">{measure}", ">spread", ">bits/byte", ">against the first", ">p"]
    made = table("recipe", *columns, *([f">to {write(goal)}"] if goal is not None else []), title=title)
    for one in result.racers or ():
        found = one.against
        gain = "" if found is None else f"{write(found.estimate)} ({write(found.low)} to {write(found.high)})"
        bits = sum(one.bits_per_byte) / len(one.bits_per_byte) if one.bits_per_byte else None
        made.add_row(
            safe(one.name),
            written.large(one.step.tokens / one.step.seconds),
            written.large(one.tokens),
            f"[bold]{write(one.mean)}[/bold]",
            "" if one.deviation is None else write(one.deviation),
            "" if bits is None else written.number(bits),
            gain,
            "" if found is None else written.number(found.p_equal),
            *([_to_goal(one)] if goal is not None else []),
        )
    records = [safe(one.name) for one in result.racers or () if one.is_record]
    ahead = "ahead of the first, with three seeds or more and p < 0.01"
    made.caption = f"diverged, and left the race: {', '.join(map(safe, result.diverged))}" if result.diverged else None
    return Group(made, f"a record, {ahead}: {', '.join(records)}" if records else f"no record: none is {ahead}")


def _to_goal(one: Racer) -> str:
    """Time, with its interval over seeds, and tokens to the goal."""
    found = one.share_to_goal
    if found is None:
        count = sum(share is not None for share in one.reached)
        return "not reached" if not count else f"reached by {count} of {len(one.reached)}"
    mean, low, high = found
    sure = f" ({_span(low, one)} to {_span(high, one)})" if math.isfinite(high) else ""
    return f"{_span(mean, one)}{sure}, {written.large(mean * one.tokens)} tokens"


def _span(share: float, one: Racer) -> str:
    return written.duration(share * one.seconds)


@drawn.register
def _(grid: Grid, title: str = "") -> RenderableType:
    """A report's table."""
    first, *others = (safe(str(column)) for column in grid.head)
    made = table(first, *(f">{column}" for column in others), title=title or grid.title)
    for row in grid.rows:
        made.add_row(*(safe(str(cell)) for cell in row))
    return made


@drawn.register
def _(found: Alignment, title: str = "") -> RenderableType:
    """What is found at each layer."""
    return drawn(alignment_grid(found), title)


@drawn.register
def _(row: StepRow, title: str = "") -> RenderableType:
    """One step of a compression in a line."""
    return safe(f"{row.method or 'as it was'}: {'; '.join(row_lines(row))}")


@drawn.register
def _(results: tuple, title: str = "") -> RenderableType:
    """The figures of tasks, how many written answers are none, and how was guessed."""
    lines = [drawn(metrics_grid({"tasks": {result.name: asdict(result) for result in results}}), title)]
    splits = [(result.name, split, figures) for result in results for split, figures in result.splits.items()]
    for name, split, figures in splits:
        if any(figures.no_answers):
            counts = ", ".join(f"{count:,}" for count in figures.no_answers)
            of = f"{counts} of {figures.rows:,} written answers"
            lines.append(f"{safe(name)} {split}: {of} are none of the task's and count as wrong")
    guesses = {f"{name}: {figures.baseline}" for name, _, figures in splits}
    return Group(*lines, *(f"guessing for {safe(line)}" for line in sorted(guesses)))
