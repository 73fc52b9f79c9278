"""A strategy carried out: its stages as run folders, each beginning with the model that the one before it left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from afterbert.base.budget import Budget
from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.figures import results
from afterbert.downstream.figures.results import Predictions
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.judging import task_results
from afterbert.downstream.finetuning.mix import planned_steps
from afterbert.downstream.finetuning.runs import FineTuned, mixes, predicted
from afterbert.downstream.finetuning.saving import HEADS
from afterbert.downstream.strategies import Sources, Strategy
from afterbert.downstream.task_name import checked_name, head_key, module_key
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import load_model
from afterbert.interop.untrusted_files import read_weights
from afterbert.training.trainer import Outcome


@dataclass(frozen=True)
class StrategyRun:
    """A strategy with all that its stages share."""

    strategy: Strategy
    bench: Bench
    """The model, all sources and how they are trained."""
    total: int
    """Steps in both stages together, for each task."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Task -> the group that counts as one task where one is left out."""

    @staticmethod
    def of(strategy: Strategy, bench: Bench, *, groups: Mapping[str, str] | None = None) -> StrategyRun:
        """Returns a strategy run on the sources of a bench, in as many steps as its budget has. Raises UserError if the
        strategy has nothing to train on, or steps cannot be held equal."""
        settings, name = bench.settings, name_of(strategy)
        total = planned_steps(bench)
        if total is None:
            raise UserError(
                f"strategies are compared at equal steps, but the budget is {settings.budget}; write --budget "
                "500steps or --epochs 3"
            )
        if total < 2 and strategy.has_second:
            raise UserError(f"strategy {name} has two stages, but there is {total} step; raise the budget")
        if strategy.needs_texts and not bench.asked.texts:
            instead = "alone" if name == "unsupervised" else "supervised"
            raise UserError(
                f"strategy {name} needs running text; name some with --unlabelled, or take strategy {instead}"
            )
        made = StrategyRun(strategy, bench, total, dict(groups or {}))
        for group in made.groups.values():
            checked_name(group)
        for data in bench.tasks:
            if not made.sources(data.name) and name != "alone":
                raise UserError(
                    f"strategy {name} has no rows for the first stage of {data.name}; name more tasks, other "
                    "groups, or --unlabelled texts"
                )
        return made

    def sources(self, target: str) -> tuple[str, ...]:
        """Names the sources that are mixed in the first stage when `target` is the task that counts."""
        tasks, texts = ([one.name for one in some] for some in (self.bench.tasks, self.bench.asked.texts))
        return self.strategy.mixed(target, Sources(tasks, texts, self.groups))

    @property
    def has_first(self) -> bool:
        """Whether there is a first stage; so for all tasks, or for none."""
        return any(self.sources(data.name) for data in self.bench.tasks)

    def stage(self, target: str) -> str:
        """Returns the folder of the first stage, one for all tasks that share it."""
        if len({self.sources(data.name) for data in self.bench.tasks}) == 1:
            return "first"
        return f"first-without-{self.groups.get(target, target)}"

    def first(self, target: str, seed: int) -> Bench:
        """Returns the first stage. When another stage follows, it does not look at dev rows."""
        steps, _ = self.strategy.steps(self.total)
        settings = replace(self.bench.settings, budget=Budget(steps, "steps"), seed=seed, num_seeds=1)
        tasks = [data for data in self.bench.tasks if data.name in self.sources(target)]
        texts = [text for text in self.bench.asked.texts if text.name in self.sources(target)]
        if self.strategy.has_second:
            settings = replace(settings, evaluate_every=None, keep="last", patience=None)
            tasks = [replace(data, splits={"train": data.splits["train"], "dev": ()}) for data in tasks]
        return self.bench.again(tasks, settings, texts=texts)

    def second(self, target: str, seed: int, before: Bench | None, left: Path) -> Bench:
        """Returns the second stage, on the model that the first one left."""
        _, steps = self.strategy.steps(self.total, has_first=before is not None)
        settings = replace(self.bench.settings, budget=Budget(steps, "steps"), seed=seed, num_seeds=1)
        model = None if before is None else _gone_on(self.bench.asked.model, before, left, seed)
        tasks = [data for data in self.bench.tasks if data.name == target]
        return self.bench.again(tasks, settings, model=model)


def follow(staging: StrategyRun, out: Path) -> FineTuned:
    """Trains and scores every task by the strategy, once for each seed.

    Writes `out/first/seed-N/` and `out/tasks/TASK/seed-N/`, run folders all, and `out/results.json`. Called again,
    finished ones are read and a broken one goes on. No results where a signal stopped it.
    """
    bench = staging.bench
    found: dict[str, list[Any]] = {data.name: [] for data in bench.tasks}
    mix: dict[str, dict[str, Any]] = {}
    begin = time.monotonic()
    settings = bench.settings
    for seed in settings.seeds:
        done: dict[str, tuple[Bench, Predictions]] = {}
        for data in bench.tasks:
            run, outcome = _path(staging, data.name, seed, out, mix, done)
            if run is None:
                return FineTuned(out, (), outcome)
            found[data.name].append(run[data.name])
    made = task_results(bench.asked, found)
    first, second = staging.strategy.steps(staging.total, has_first=staging.has_first)
    facts = {
        "model": bench.asked.model.name,
        "strategy": to_plain(staging.strategy),
        "steps": {"first": first, "second": second},
        "groups": dict(staging.groups),
        "settings": to_plain(settings),
        "seconds": [time.monotonic() - begin],
        "notes": list(bench.notes),
        "mix": mix,
    }
    results.write_results(out / "results.json", made, facts)
    return FineTuned(out, made, None)


def _path(
    staging: StrategyRun,
    target: str,
    seed: int,
    out: Path,
    mix: dict[str, dict[str, Any]],
    done: dict[str, tuple[Bench, Predictions]],
) -> tuple[Predictions | None, Outcome | None]:
    """Both stages of one task; `done` holds the first stages of this seed, `mix` the mixes of all seeds."""
    stage, outcome, before = staging.stage(target), None, None
    if staging.sources(target):
        if stage not in done:
            bench = staging.first(target, seed)
            found, outcome = predicted(bench, out / stage, seed)
            if found is None:
                return None, outcome
            done[stage] = (bench, found)
            for key, value in mixes(bench, out / stage, least=1).items():
                kept = mix.setdefault(stage, {"planned": None, "realised": {}})
                kept[key] = kept[key] | value if key == "realised" else value
        before, predictions = done[stage]
        if not staging.strategy.has_second:
            return predictions, None
    bench = staging.second(target, seed, before, out / stage / f"seed-{seed}" / "model")
    return predicted(bench, out / "tasks" / target, seed)


def _gone_on(model: LoadedModel, before: Bench, left: Path, seed: int) -> LoadedModel:
    """The model in the folder `left`, with the heads that its tasks have learned there, and the pooler that it was
    pre-trained with for the others."""
    trained = load_model(left)
    weights: dict[str, Mapping[str, Tensor]] = dict(trained.weights)
    # A folder of the class for one task has that task's pooler.
    weights.pop("pooler", None)
    if "pooler" in model.weights:
        weights["pooler"] = model.weights["pooler"]
    states = read_weights(left / HEADS) if (left / HEADS).is_file() else {}
    for data in before.tasks:
        key = f"{module_key(data.name)}."
        mine = {name.removeprefix(key): value for name, value in states.items() if name.startswith(key)}
        if mine:
            weights[head_key(data.name)] = mine
    name = f"{model.name} after {digest(before.identity(seed).plain())}"
    return replace(trained, name=name, weights=weights, notes=())
