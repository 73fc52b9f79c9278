"""The learning rate that does best on held-out training rows within a budget, found by successive halving.

Source: Jamieson and Talwalkar 2016 (1502.07943), Figure 1, with two deviations. Each round's runs begin anew instead of
going on, because the schedule is laid over the length of a run. And what is compared is the main figure on a tenth of
the training rows, so that the dev rows stay unseen.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder, write_atomically
from afterbert.downstream.figures import results
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.judging import flat, main_figure
from afterbert.downstream.finetuning.mix import planned_steps
from afterbert.downstream.finetuning.runs import predicted
from afterbert.training.guards import Diverged
from afterbert.training.run_length import RunLength

#: From large models to tiny ones, about a factor of two apart.
RATES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3)
_FEWEST_STEPS = 5


@dataclass(frozen=True)
class Trial:
    """One run: its round from 1, rate, steps, and main figure on the held-out rows, higher is better; minus infinity
    where the loss was no longer a number."""

    round: int
    learning_rate: float
    steps: int
    figure: float


@dataclass(frozen=True)
class SearchOutcome:
    """trials in the order of running; learning_rate: None if a signal stopped the search."""

    trials: tuple[Trial, ...]
    learning_rate: float | None


def search(bench: Bench, budget: Budget, out: Path, *, rates: Sequence[float] | None = None) -> SearchOutcome:
    """Tries all rates briefly, the better half twice as long, and so on until one is left; all of it within about
    `budget`, which may be a time, steps or epochs. Of equal figures the lower rate is better. Where none are given:
    RATES, or ten times those for an optimizer whose steps are shares of a weight's own size.

    Writes `out/search.json` (figure null where the loss was no longer a number). Called again it goes on where it was.
    Raises UserError if the budget is too small, or every rate breaks the loss.
    """
    trial_bench = _on_held_out(bench)
    if rates is None:
        rates = [10 * rate for rate in RATES] if bench.settings.optimizer.is_relative else RATES
    rounds = _rounds(len(rates))
    first = Budget(budget.amount / sum(count * length for count, length in rounds), budget.unit)
    steps = None if budget.unit == "seconds" else _steps(trial_bench, first)
    left, trials = sorted(rates), list[Trial]()
    for number, (count, length) in enumerate(rounds, 1):
        mine: list[Trial] = []
        for rate in left[:count]:
            # Only the first run reads the clock; all others have as many steps as it turned out to have.
            span = first if steps is None else Budget(steps * length, "steps")
            trial = _try(trial_bench, rate, span, out, number)
            if trial is None:
                return SearchOutcome((*trials, *mine), None)
            steps = steps or trial.steps
            mine.append(trial)
        trials += mine
        left = [trial.learning_rate for trial in sorted(mine, key=lambda one: (-one.figure, one.learning_rate))]
        left = sorted(left[: rounds[number][0]] if number < len(rounds) else left[:1])
    if all(math.isinf(trial.figure) for trial in mine):
        raise UserError(f"the loss is no number with any rate from {min(rates):g} on; check the model and its weights")
    found = SearchOutcome(tuple(trials), left[0])
    plain = asdict(found)
    for trial in plain["trials"]:
        trial["figure"] = None if math.isinf(trial["figure"]) else trial["figure"]
    write_atomically(out / "search.json", json.dumps(plain, indent=1) + "\n")
    return found


def _rounds(num_rates: int) -> list[tuple[int, int]]:
    """(rates tried, length of a run by that of the first round's) in each round.

    >>> _rounds(8), _rounds(3)
    ([(8, 1), (4, 2), (2, 4)], [(3, 1), (2, 2)])
    """
    found, count, length = [], num_rates, 1
    while count > 1:
        found.append((count, length))
        count, length = -(-count // 2), 2 * length
    return found


def _on_held_out(bench: Bench) -> Bench:
    """The same tasks with a tenth of their training rows for dev, and no other rows."""
    settings = replace(bench.settings, num_seeds=1, keep="last", patience=None, evaluate_every=None)
    tasks = [
        replace(data, splits={"train": data.splits["train"]}, notes=()).with_dev(seed=settings.seed, draw="search")
        for data in bench.tasks
    ]
    return bench.again(tasks, settings, texts=bench.asked.texts)


def _steps(bench: Bench, span: Budget) -> int:
    steps = planned_steps(bench, span)
    if steps is None or steps < _FEWEST_STEPS:
        raise UserError(
            f"the search's shortest runs would have fewer than {_FEWEST_STEPS} steps, too few to compare; give "
            f"--search-learning-rate at least {_FEWEST_STEPS * sum(c * n for c, n in _rounds(len(RATES)))}steps, or a "
            "time"
        )
    return steps


def _try(bench: Bench, rate: float, span: Budget, out: Path, number: int) -> Trial | None:
    """One run; None if a signal stopped it."""
    mine = bench.with_settings(replace(bench.settings.with_learning_rate(rate), budget=span))
    folder, seed = out / f"round-{number}-rate-{rate:g}", bench.settings.seed
    try:
        found, _ = predicted(mine, folder, seed)
    except Diverged:
        # That a rate is too high is an answer too.
        steps = RunLength.load(RunFolder.open(folder / f"seed-{seed}").course).total_steps
        return Trial(number, rate, steps, -math.inf)
    if found is None:
        return None
    run = RunFolder.open(folder / f"seed-{seed}")
    if run.model.exists():
        results.remove(run.model)
    figures = flat({data.name: data.scores("dev", found[data.name]["dev"]) for data in mine.tasks})
    return Trial(number, rate, RunLength.load(run.course).total_steps, main_figure(mine.tasks, figures))
