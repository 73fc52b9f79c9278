"""What a study will run: a list of runs, each in a folder named by all that decides its result, so that arms, studies
and repeated calls share them and nothing runs twice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from afterbert.base.budget import Budget, Unit
from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder, write_atomically
from afterbert.recipes.recipe import Resolved
from afterbert.study.control import ResolvedArm, resolved_arms
from afterbert.study.design import Study, StudyScale, read_study, scale_for
from afterbert.study.request import StudyRequest, check_named, check_tasks, check_texts, texts_of
from afterbert.text.token_store.store import Store
from afterbert.training.devices import default_device
from afterbert.workflows.closing import Closing
from afterbert.workflows.fitting import measured_choice
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.pretraining import flops_per_step
from afterbert.workflows.run_folders import run_folder_for
from afterbert.workflows.stores import by_its_languages, store_of

#: The share of the budget that a search for the learning rate gives each rate, and the seed it trains with.
SEARCH_SHARE, SEARCH_SEED = 0.25, 1_000_003
#: From the seed of one member of an ensemble to that of the next.
MEMBER_SEEDS = 1000


@dataclass(frozen=True)
class PlannedRun:
    """One pre-training run: of an arm and a seed, or, where `factor` is not None, of a search for its learning rate."""

    arm: str
    seed: int
    resolved: Resolved
    store: Store
    factor: float | None = None

    def folder(self, root: Path) -> RunFolder:
        """Returns the run's folder, made when it is missing."""
        return run_folder_for(root, self.resolved, self.store)


@dataclass(frozen=True)
class StudyPlan:
    """A study made ready: everything is read and checked, nothing is trained."""

    request: StudyRequest
    name: str
    study: Study
    scale: StudyScale
    arms: Mapping[str, ResolvedArm]
    stores: Mapping[str, Store]
    budgets: Mapping[str, Budget]
    device: torch.device
    rates: Mapping[str, float]
    """Arm -> learning rate that a search found; empty before and without one."""

    @property
    def folder(self) -> Path:
        """Where results and pages of this study lie."""
        study = to_plain(self.study)
        for one in study["expects"]:  # folders are named as when to say nothing and to name none were the same
            one["claims"] = one["claims"] or []
        made_of = {
            "study": study,
            "scale": to_plain(self.scale),
            "stores": {arm: store.fingerprint for arm, store in self.stores.items()},
            "arms": {name: to_plain(arm.resolved.recipe) for name, arm in self.arms.items()},
            "asked": [self.request.tasks, self.request.pairs, {a: str(b) for a, b in self.budgets.items()}],
        } | ({"parallel": self.request.parallel} if self.request.parallel else {})
        return self.request.out / "studies" / f"{self.name}-{self.request.scale}-{digest(made_of, length=8)}"

    @property
    def closing(self) -> Closing:
        """What is asked at the end of each run beside its own text."""
        return Closing(pairs=self.request.pairs, parallel=self.request.parallel)

    @property
    def searches(self) -> list[PlannedRun]:
        """The runs of the search for each arm's learning rate."""
        return [
            PlannedRun(
                name,
                SEARCH_SEED,
                self._laid_out(name, SEARCH_SEED, rate=_rate(arm.resolved) * factor, share=SEARCH_SHARE),
                self.stores[name],
                factor,
            )
            for name, arm in self._trained.items()
            for factor in self.study.search
        ]

    @property
    def runs(self) -> list[PlannedRun]:
        """The runs of the study, the first arm's before the others'."""
        return [
            self._planned(name, seed, member)
            for name, arm in self._trained.items()
            for member in range(arm.arm.ensemble)
            for seed in range(self.scale.seeds)
        ]

    def _planned(self, name: str, seed: int, member: int) -> PlannedRun:
        """One run of an arm. Members of an ensemble that share their model differ by the seed of fine-tuning alone."""
        tuned = seed + member * MEMBER_SEEDS
        trained = seed if self.arms[name].arm.shares_model else tuned
        return PlannedRun(name, tuned, self._laid_out(name, trained, rate=self.rates.get(name)), self.stores[name])

    @property
    def _trained(self) -> dict[str, ResolvedArm]:
        return {name: arm for name, arm in self.arms.items() if arm.arm.is_pretrained}

    def _laid_out(self, name: str, seed: int, *, rate: float | None = None, share: float = 1.0) -> Resolved:
        """An arm's recipe with its budget and seed."""
        resolved, budget = self.arms[name].resolved, self.budgets[name]
        budget = replace(budget, amount=budget.amount * share)
        training = replace(
            resolved.recipe.training,
            budget=budget,
            evaluate_every=replace(budget, amount=budget.amount / self.scale.evaluations),
            seed=seed,
            keep_checkpoints=1,
        )
        if rate is not None:
            optimizer: Any = training.optimizer
            training = replace(training, optimizer=replace(optimizer, learning_rate=rate))
        return resolved.replaced(f"study {self.name}", training=training)

    def write(self) -> None:
        """Writes plan.json, by which `study status` finds the runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = {
            "study": self.name,
            "scale": self.request.scale,
            "searches": [run.folder(self.request.out).path.name for run in self.searches],
            "runs": [
                {"arm": run.arm, "seed": run.seed, "folder": run.folder(self.request.out).path.name}
                for run in self.runs
            ],
        }
        write_atomically(self.folder / "plan.json", json.dumps(told, indent=1) + "\n")


def planned(
    request: StudyRequest, *, observer: WorkObserver | None = None, device: torch.device | None = None
) -> StudyPlan:
    """Reads the study, checks its arms against each other, prepares the text, and holds the budget equal. Raises
    UserError before anything is trained."""
    observer = observer or WorkObserver()
    name, study = read_study(request.study)
    check_named(request, name, study)
    asked = {"task_score": request.tasks, "minimal_pairs": request.pairs, "retrieval": request.parallel}
    added = (measure for measure, of in asked.items() if of and measure not in study.measures)
    study = replace(study, measures=(*study.measures, *added))
    scale = scale_for(study, request.scale, seeds=request.seeds)
    arms = resolved_arms(study, scale)
    check_tasks(request, arms)
    stores = _stores(request, study, arms, observer)
    plan = StudyPlan(request, name, study, scale, arms, stores, {}, device or default_device(), {})
    plan = replace(plan, budgets=_budgets(plan))
    if request.budget is not None:
        plan = _fitted(plan, Budget.parse(request.budget), observer)
    if request.scale != "smoke":
        _check_epochs(plan)
    return plan


def _check_epochs(plan: StudyPlan) -> None:
    """Raises UserError if the text is so long that it is not read as often as the question needs."""
    for name, budget in plan.budgets.items():
        pieces = plan.stores[name].split("train").num_pieces
        most = int(budget.amount / plan.study.least_epochs) if plan.study.least_epochs else pieces
        if budget.unit == "tokens" and pieces > most:
            raise UserError(
                f"study {plan.name} asks about a text that is read {plan.study.least_epochs:g} times or more, but "
                f"{budget} of {pieces:,} pieces are {budget.amount / pieces:.2g} times; name a text of at most "
                f"{most:,} pieces, or a larger --scale"
            )


def _stores(
    request: StudyRequest, study: Study, arms: Mapping[str, ResolvedArm], observer: WorkObserver
) -> dict[str, Store]:
    """The text of each arm: one store, but for arms with a tokenizer of their own."""
    made: dict[str, Store] = {}
    stores = {}
    check_texts(request, study, arms)
    for name, arm in arms.items():
        tokenizer = arm.resolved.recipe.tokenizer
        key = digest([to_plain(tokenizer), arm.arm.text])
        if key not in made:
            made[key] = store_of(texts_of(request, study, arm.arm), tokenizer, out=request.out, observer=observer)
            lacks = [plane for plane in study.needs_planes if not _has(made[key], plane)]
            if lacks:
                raise UserError(
                    f"the study needs the plane {lacks[0]}, which {made[key].folder} does not have; prepare the texts "
                    "with it first (docs/units.md) and name the store"
                )
        stores[name] = made[key]
        if arm.arm.mixing is not None:
            stores[name] = by_its_languages(made[key], arm.arm.mixing, request.out)
    return stores


def _has(store: Store, plane: str) -> bool:
    return any(name == plane or name.startswith(f"{plane}_") for name in store.split("train").plane_names)


def _budgets(plan: StudyPlan) -> dict[str, Budget]:
    """What each arm may spend, in tokens or FLOPs: as much as the first arm spends on its tokens of what is held
    equal."""
    tokens, first = plan.scale.budget.amount, plan.study.reference
    found = {}
    unit: Unit
    for name, arm in plan.arms.items():
        if plan.study.hold == "tokens" or name == first:
            amount, unit = tokens, "tokens"
        elif plan.study.hold == "flops":
            recipe = plan.arms[first].resolved.recipe
            steps = tokens / recipe.pieces_per_step
            amount, unit = steps * flops_per_step(recipe, plan.stores[first]), "flops"
        else:
            pays_for = tokens / _speed(plan, first) * _speed(plan, name)
            amount, unit = float(round(pays_for, -3)) or pays_for, "tokens"
        found[name] = Budget(amount * arm.arm.budget, unit)
    return found


def _speed(plan: StudyPlan, arm: str) -> float:
    """Pieces a second of an arm on this machine, measured once and kept beside the runs."""
    resolved, store = plan.arms[arm].resolved, plan.stores[arm]
    choice = measured_choice(resolved, store, device=plan.device, kept=plan.request.out / "speed.json")
    if not choice.pieces_per_second:
        raise UserError(f"arm {arm} does not fit into memory; take a smaller scale")
    return choice.pieces_per_second


def seconds_needed(plan: StudyPlan) -> float:
    """Returns how long the training of all runs takes here, one after the other, judged by a few steps of each arm."""
    total, seen = 0.0, set[str]()
    for name, arm in plan.arms.items():
        key = digest([to_plain(arm.resolved.recipe), str(plan.budgets[name]), plan.stores[name].fingerprint])
        if arm.arm.is_pretrained and key not in seen:  # arms that differ after training alone share their runs
            seen.add(key)
            budget, recipe = plan.budgets[name], arm.resolved.recipe
            tokens = budget.amount
            if budget.unit == "flops":
                per_step = flops_per_step(recipe, plan.stores[name])
                tokens = budget.amount / per_step * recipe.pieces_per_step
            runs = plan.scale.seeds * arm.arm.models + SEARCH_SHARE * len(plan.study.search)
            total += runs * tokens / _speed(plan, name)
    return total


def _fitted(plan: StudyPlan, time: Budget, observer: WorkObserver) -> StudyPlan:
    """The plan with as many tokens a run as the time pays for."""
    if time.unit != "seconds":
        raise UserError(f"the budget of a study is a time, found {time}; write 2h")
    factor = time.amount / seconds_needed(plan)
    tokens = plan.scale.budget.amount * factor
    smallest = plan.arms[plan.study.reference].resolved.recipe
    least = 10 * smallest.pieces_per_step
    if tokens < least:
        raise UserError(
            f"{time} is too short for {len(plan.runs)} runs; give {least / tokens:.0f} times as much, or fewer --seeds"
        )
    observer.on_line(f"fitted to {time}: {tokens:,.0f} tokens a run")
    scale = scale_for(plan.study, plan.request.scale, seeds=plan.request.seeds, tokens=tokens)
    plan = replace(plan, scale=scale)
    return replace(plan, budgets=_budgets(plan))


def _rate(resolved: Resolved) -> float:
    rate: Any = getattr(resolved.recipe.training.optimizer, "learning_rate", None)
    if rate is None:
        raise UserError(f"recipe {resolved.name} has no learning rate to search; leave `search` out")
    return float(rate)


def listed_runs(runs: Sequence[PlannedRun]) -> str:
    """Returns in words how many runs there are, of how many arms."""
    return f"{len(runs)} runs of {len({run.arm for run in runs})} arms"
