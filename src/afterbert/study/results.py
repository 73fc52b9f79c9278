"""Results of a study: everything that its pages show, as plain values in one small file."""

import json
import math
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.plugins import find
from afterbert.base.runs import write_atomically
from afterbert.base.sealed import read_sealed, sealed
from afterbert.study.control import ResolvedArm, shared_settings
from afterbert.study.design import Expectation, Published
from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure
from afterbert.study.plan import StudyPlan
from afterbert.study.request import StudyRequest
from afterbert.study.statistics import difference, spread
from afterbert.study.verdicts import OPEN, Judgement, Verdict, judged, together
from afterbert.training.precision import name_of_device
from afterbert.workflows.pretraining import flops_per_step

FORMAT = 1
_MOST_CURVE = 12


@dataclass(frozen=True)
class Cost:
    """The mean cost of an arm's runs; None if nothing was pre-trained."""

    steps: float | None
    tokens: float | None
    flops: float | None
    seconds: float | None


@dataclass(frozen=True)
class ArmResult:
    """An arm. changes: setting -> [in the first arm, here], as text; curves: of each seed, [tokens, value] of the
    deciding measure or else of the loss on held-out text."""

    why: str
    changes: dict[str, tuple[str, str]]
    learning_rate: float | None
    cost: Cost
    runs: list[str | None]
    curves: list[list[tuple[float, float]]]


@dataclass(frozen=True)
class Compared:
    """An arm against another one in one measure; positive is better. None is no finite number; estimate: None where an
    arm has no figure."""

    estimate: float | None
    low: float | None
    high: float | None
    seen: float | None


@dataclass(frozen=True)
class MeasureResult:
    """One measure over all arms: values by arm and seed, and each arm against the first."""

    title: str
    unit: str
    higher_is_better: bool
    is_cost: bool
    favours: str
    values: dict[str, list[float]]
    means: dict[str, float]
    deviations: dict[str, float | None]
    against_first: dict[str, Compared]
    rows: int
    """Held-out rows that were compared one by one; 0 where only seeds are."""
    floor: float | None = None
    """What a model gets that learned nothing, the mean over seeds; None where it is not known."""


@dataclass(frozen=True)
class JudgedResult:
    """An expectation and what came of it; p values after Holm."""

    says: str
    claims: list[int]
    difference: Compared
    p_equal: float
    p_large: float
    verdict: Verdict
    at_floor: bool = False
    """Whether neither arm is better by the smallest effect of interest than a model that learned nothing."""


@dataclass(frozen=True)
class TextResult:
    """The text in numbers."""

    sources: list[str]
    documents: int
    pieces: int
    held_out_pieces: int
    vocab_size: int
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """results.json."""

    format: int = FORMAT
    name: str
    scale: str
    question: str
    claims: list[int]
    base: str
    size: str | None
    hold: str
    settings: dict[str, str]
    """What all arms share on top of the base recipe."""
    seeds: int
    searched: bool
    measure: str
    """That which decides."""
    smallest: float
    first: str
    text: TextResult
    arms: dict[str, ArmResult]
    measures: dict[str, MeasureResult]
    judged: list[JudgedResult]
    verdict: Verdict
    notes: list[str]
    published: Published | None
    command: str
    machine: str
    tasks: list[str] = field(default_factory=list)
    """The names of the labelled tasks."""


def measured(name: str, run: FinishedRun) -> Measurement | None:
    """Returns the value of a measure, given by its name, of a run."""
    return find(Measure, name)()(run)


def collected(plan: StudyPlan, made: Mapping[str, Sequence[FinishedRun]], *, notes: Sequence[str] = ()) -> StudyResults:
    """Returns the results of finished runs; a pure function of their folders. notes: what befell them."""
    study, first = plan.study, plan.study.reference
    names = [*study.measures, "tokens_per_second", "parameters", "memory", "task_model_bytes"]
    found = {name: _measurements(name, made) for name in dict.fromkeys(names)}
    deciding = found[study.decision.measure]
    expected = [one for one in study.expectations if {one.parts[0], one.parts[2]} <= deciding.keys()]
    differences = [
        difference(
            deciding[one.parts[0]],
            deciding[one.parts[2]],
            smallest=study.decision.smallest,
            sign=_sign(study.decision.measure),
            comparisons=len(expected),
        )
        for one in expected
    ]
    judgements = {one.expectation.says: one for one in judged(expected, differences)}
    verdicts = [_judged(one, judgements.get(one.says)) for one in study.expectations]
    store = plan.stores[first]
    splits = store.summary()["splits"]
    settings = {**shared_settings(study, plan.scale), "training.budget": str(plan.budgets[first])}
    if "tokenizer.vocab_size" in settings:  # a store that was named has pieces of its own
        settings["tokenizer.vocab_size"] = str(store.vocabulary.size)
    return StudyResults(
        name=plan.name,
        scale=plan.request.scale,
        question=study.question,
        claims=list(study.claims),
        base=study.base,
        size=plan.arms[first].resolved.size,
        hold=study.hold,
        settings=settings,
        seeds=plan.scale.seeds,
        searched=bool(study.search),
        measure=study.decision.measure,
        smallest=study.decision.smallest,
        first=first,
        text=TextResult(
            sources=[Path(str(one["name"])).name for one in store.summary()["sources"]],
            documents=sum(split["documents"] for split in splits.values()),
            pieces=splits["train"]["pieces"],
            held_out_pieces=splits["held_out"]["pieces"],
            vocab_size=store.vocabulary.size,
            fingerprint=store.fingerprint,
        ),
        arms={name: _arm(plan, plan.arms[name], made[name]) for name in plan.arms},
        measures={name: _measure(plan, name, by_arm) for name, by_arm in found.items() if by_arm},
        judged=verdicts,
        verdict=together([one.verdict for one in verdicts]),
        notes=[*study.notes, *notes],
        published=study.published,
        command=_command(plan),
        machine=f"{os.cpu_count()} cores, {platform.machine()}, {name_of_device(plan.device)}",
        tasks=list(dict.fromkeys(name for runs in made.values() for run in runs for name in run.tasks)),
    )


def write_results(path: Path, results: StudyResults) -> None:
    """Writes results.json."""
    text = json.dumps(sealed(to_plain(asdict(results))), indent=1, ensure_ascii=False)
    write_atomically(path, text + "\n")


def read_results(path: Path) -> StudyResults:
    """Reads results.json. Raises UserError if it is none, or was changed."""
    content = read_sealed(path, remedy="run the study again to write it anew")
    try:
        return TypeAdapter(StudyResults).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UserError(f"{path}: {at}: {first['msg']}; run the study again to write it anew") from error


def _judged(expectation: Expectation, found: Judgement | None) -> JudgedResult:
    """An expectation with its verdict: none where one of its arms has no figure, which must not pass for agreement."""
    if found is None:
        nothing = Compared(None, None, None, None)
        return JudgedResult(expectation.says, list(expectation.claims or ()), nothing, 1.0, 1.0, OPEN)
    return JudgedResult(
        expectation.says,
        list(expectation.claims or ()),
        _compared(found.difference),
        found.p_equal,
        found.p_large,
        found.verdict,
        at_floor=found.difference.at_floor,
    )


def _measurements(name: str, made: Mapping[str, Sequence[FinishedRun]]) -> dict[str, list[Measurement]]:
    """Arm -> a measurement of each seed; without arms that were not asked this."""
    found = {}
    for arm, runs in made.items():
        values = [measured(name, run) for run in runs]
        kept = [value for value in values if value is not None and math.isfinite(value.value)]
        if len(kept) == len(values):
            found[arm] = kept
    return found


def _sign(name: str) -> int:
    return 1 if find(Measure, name).higher_is_better else -1


def _measure(plan: StudyPlan, name: str, by_arm: Mapping[str, list[Measurement]]) -> MeasureResult:
    kind, first, study = find(Measure, name), plan.study.reference, plan.study
    spreads = {arm: spread([one.value for one in values]) for arm, values in by_arm.items()}
    against = {}
    if first in by_arm:
        against = {
            arm: _compared(difference(values, by_arm[first], smallest=study.decision.smallest, sign=_sign(name)))
            for arm, values in by_arm.items()
            if arm != first
        }
    floors = [one.floor for values in by_arm.values() for one in values if one.floor is not None]
    return MeasureResult(
        title=kind.title,
        unit=kind.unit,
        higher_is_better=kind.higher_is_better,
        is_cost=kind.is_cost,
        favours=study.favours.get(name, kind.favours),
        values={arm: [one.value for one in values] for arm, values in by_arm.items()},
        means={arm: mean for arm, (mean, _) in spreads.items()},
        deviations={arm: deviation for arm, (_, deviation) in spreads.items()},
        against_first=against,
        rows=max((len(one.counts) for values in by_arm.values() for one in values), default=0),
        floor=spread(floors)[0] if floors else None,
    )


def _compared(found: Any) -> Compared:
    finite = [value if math.isfinite(value) else None for value in (found.low, found.high, found.seen)]
    return Compared(found.estimate, *finite)


def _arm(plan: StudyPlan, arm: ResolvedArm, runs: Sequence[FinishedRun]) -> ArmResult:
    trained = [one for run in runs for one in run.members or (run,) if one.steps]
    changes = {path: (_text(before), _text(after)) for path, (before, after) in arm.changes.items()}
    rate = None
    if trained and trained[0].resolved is not None:
        rate = getattr(trained[0].resolved.recipe.training.optimizer, "learning_rate", None)
    return ArmResult(
        why=arm.arm.why,
        changes=changes,
        learning_rate=rate,
        cost=_cost(plan, arm, trained),
        runs=[one.folder.name if one.folder is not None else None for run in runs for one in run.members or (run,)],
        curves=[_curve(run) for run in trained],
    )


def _cost(plan: StudyPlan, arm: ResolvedArm, runs: Sequence[FinishedRun]) -> Cost:
    if not runs:
        return Cost(None, None, None, None)

    def mean(key: str) -> float:
        return sum(float(run.steps[-1][key]) for run in runs) / len(runs) * arm.arm.models

    steps = mean("step")
    per_step = flops_per_step(arm.resolved.recipe, plan.stores[arm.name])
    return Cost(steps, mean("tokens"), steps * per_step, mean("seconds"))


def _curve(run: FinishedRun) -> list[tuple[float, float]]:
    """[tokens, held-out masked accuracy, or else loss] of the evaluations."""
    last = run.steps[-1]
    each = last["tokens"] / max(last["step"], 1)
    found = []
    for one in run.evaluations:
        figures = one.get("figures") or {}
        value = figures.get("masked_accuracy", figures.get("loss"))
        if isinstance(value, (int, float)) and math.isfinite(value):
            found.append((round(one["step"] * each), float(value)))
    return found[-_MOST_CURVE:]


def _text(value: Any) -> str:
    if value is None:
        return "absent"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _command(plan: StudyPlan) -> str:
    asked, path = plan.request, "NAME:PATH"
    texts = tuple(f"{text}=MINE" for text in plan.study.texts) or ("MINE",)
    tasks, pairs, parallel = ((path,) * len(given) for given in (asked.tasks, asked.pairs, asked.parallel))
    files = replace(asked, texts=texts, tasks=tasks, pairs=pairs, parallel=parallel)
    told = replace(files, study=Path(asked.study).name, out=StudyRequest.out)  # of a file the name, not its folder
    return shlex.join(["afterbert", *told.words])
