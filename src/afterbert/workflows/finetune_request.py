"""From what a user asks of fine-tuning to figures: tasks found and read, settings, strategies; then the runs."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from afterbert.base.budget import Budget
from afterbert.base.config import build, digest, to_plain
from afterbert.base.destination import folder_claimed
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.base.small_files import read_json_object
from afterbert.base.tree import Node, located, merge, override
from afterbert.downstream.figures.results import TaskResult
from afterbert.downstream.finetuning.bench import Bench, Wrap, unwrapped
from afterbert.downstream.finetuning.mix import TaskMix, planned_steps
from afterbert.downstream.finetuning.rate_search import search
from afterbert.downstream.finetuning.runs import remarks, tune
from afterbert.downstream.finetuning.settings import FineTuning, usual_learning_rate
from afterbert.downstream.finetuning.strategy_runs import StrategyRun, follow
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.find_task import DataOptions
from afterbert.downstream.reading.source import further_sets
from afterbert.downstream.reading.switched_rows import SwitchedRows
from afterbert.downstream.task_name import shortened
from afterbert.downstream.tasks import labels_of
from afterbert.text.pieces.unknown import MOST_UNKNOWN, UnknownPieces
from afterbert.text.word_pairs import Dictionary
from afterbert.training.devices import default_device
from afterbert.training.observers import Observer
from afterbert.workflows import many_tasks
from afterbert.workflows.loading import load_model_or_checkpoint
from afterbert.workflows.observer import WorkObserver


@dataclass(frozen=True)
class FinetuneRequest(DataOptions):
    """The request for a fine-tuning."""

    model: str
    """A run or model folder, or a hub name."""
    tasks: tuple[str, ...]
    """Labelled data: NAME:PATH, PATH, a task file or hub:NAME."""
    out: Path | None = None
    """The folder to write; None makes one below `runs/`, named by all that decides the figures."""
    overwrite: bool = False
    """Whether `out` may hold what fine-tuning did not make."""
    transfer: Path | None = None
    """A folder of further test sets, in other languages say, each called after its file."""
    switch: tuple[str, ...] = ()
    """Files of words with their translations, with which training rows stand there again."""
    switch_rate: float | None = None
    """The share of the words in such a file that are replaced; None: 0.9."""
    drop_leaked: bool = False
    """Whether training rows that another split holds are left out."""
    epochs: float | None = None
    """Another way to write the budget."""
    recipe: str | None = None
    """A paper's settings, by name or as a YAML file."""
    strategies: tuple[str, ...] = ()
    """Ways to train on several tasks that are compared."""
    groups: tuple[str, ...] = ()
    """Tasks that are left out together: `glue=sst2,stsb`."""
    unlabelled: tuple[str, ...] = ()
    """Running text that is one of the tasks."""
    unlabelled_recipe: str | None = None
    """What that text asks; None takes what is usual for the model."""
    from_scratch: bool = False
    """Whether the model starts from random weights."""
    overrides: tuple[tuple[str, str], ...] = ()
    """Settings by dotted path, with values as YAML writes them."""
    search: str | None = None
    """The budget of a search for the learning rate."""
    max_unknown: float = MOST_UNKNOWN
    """More unknown pieces in the rows of a task than this share are an error."""
    wrap: Wrap = unwrapped
    """Turns the objective of the tasks into the one that is trained (distillation, pruning while training)."""


@dataclass(frozen=True)
class FinetuneSetup:
    """A request, looked over: everything is read, nothing is trained."""

    request: FinetuneRequest
    bench: Bench
    plans: Mapping[str, StrategyRun]
    out: Path

    @property
    def title(self) -> str:
        """What is fine-tuned on what, in words."""
        if self.plans:
            return f"Strategies: {', '.join(self.plans)}"
        return f"{self.bench.asked.model.name} on {', '.join(data.name for data in self.bench.tasks)}"


@dataclass(frozen=True)
class FinetuneOutcome:
    """The result of a fine-tuning."""

    setup: FinetuneSetup
    results: tuple[TaskResult, ...]
    """One for each task; none where several strategies were compared, or where a signal stopped it."""
    arms: Mapping[str, Path]
    """What is compared -> its `results.json`."""
    exit_code: int = 0
    """0, or as shells report the signal that stopped it."""
    step: int | None = None
    """Where it was stopped; None if it came to its end, or stopped in the search."""


def set_up(request: FinetuneRequest, observer: WorkObserver | None = None) -> FinetuneSetup:
    """Reads model, tasks and settings, and tells what was found and what would be done. Raises UserError."""
    observer = observer or WorkObserver()
    settings = settings_of(request)
    _check_heeded(request)
    tasks = [read_task(request, spec, observer) for spec in request.tasks]
    model = load_model_or_checkpoint(request.model)
    model = model.from_scratch() if request.from_scratch else model
    texts = many_tasks.texts_of(request.unlabelled, request.unlabelled_recipe, model, settings, observer)
    bench = Bench.of(model, tasks, settings, texts=texts, wrap=request.wrap)
    names_optimizer = any(key.removeprefix("finetuning.").startswith("optimizer") for key, _ in request.overrides)
    steps = many_tasks.steps_of_t5(bench, [key for key, _ in request.overrides])
    if request.recipe is None and steps is not None:
        settings = settings_of(request, usual=steps)
        bench = bench.with_settings(settings)
        observer.on_line("optimizer: AdaFactor, with which T5 was fine-tuned; --optimizer.type names another")
    elif request.recipe is None and request.search is None and not names_optimizer:
        rate, width = usual_learning_rate(model.architecture.hidden_size), model.architecture.hidden_size
        if rate != settings.optimizer.learning_rate:
            bench = bench.with_settings(settings.with_learning_rate(rate))
            observer.on_line(f"learning rate: {rate:g}, for a model {width} wide; --learning-rate names another")
    bench.check_names()
    bench.check_choice()
    if request.search is not None and request.strategies:
        raise UserError("--search-learning-rate searches one rate for one run; leave --strategy out")
    strategies = many_tasks.strategies_of(request.strategies)
    groups = many_tasks.groups_of(request.groups, [task.name for task in tasks])
    plans = {name: StrategyRun.of(strategy, bench, groups=groups) for name, strategy in strategies.items()}
    _tell(request, bench, plans, observer)
    return FinetuneSetup(request, bench, plans, request.out or _folder_for(bench, request.search))


def run_setup(
    setup: FinetuneSetup, *, observer: WorkObserver | None = None, device: torch.device | None = None
) -> FinetuneOutcome:
    """Trains and scores, or goes on with what was begun of it. device: the GPU where there is one if it is None.
    Raises UserError."""
    observer, device = observer or WorkObserver(), device or default_device()
    claims = setup.request.out is not None
    with folder_claimed(setup.out, made_by="finetune", overwrite=setup.request.overwrite) if claims else nullcontext():
        observer.on_line(f"writes to: {setup.out}")
        return _trained(setup, observer, device)


def _trained(setup: FinetuneSetup, observer: WorkObserver, device: torch.device) -> FinetuneOutcome:
    """What `run_setup` comes to in a folder that may be written."""
    if setup.request.search is not None:
        found = search(replace(setup.bench, device=device), Budget.parse(setup.request.search), setup.out / "search")
        observer.on_value(found, "search on held-out training rows")
        if found.learning_rate is None:
            return FinetuneOutcome(setup, (), {}, exit_code=130)
        observer.on_line(f"learning rate: {found.learning_rate:g}")
        settings = setup.bench.settings.with_learning_rate(found.learning_rate)
        setup = replace(setup, bench=setup.bench.with_settings(settings))
    if setup.plans:
        return _compared(setup, observer, device)
    bench, out = setup.bench, setup.out
    done = tune(_watched(bench, observer, device), out)
    if done.outcome is not None:
        return FinetuneOutcome(setup, (), {}, done.outcome.exit_code, done.outcome.step)
    for number in bench.settings.seeds:
        status = RunFolder.open(out / f"seed-{number}").status()
        if status is not None:
            _tell_mix(bench, f"the mix as it was, seed {number}", status.step, observer, seed=number)
    observer.on_value(done.results)
    for line in remarks(bench, out):
        observer.on_note(line)
    arm = "together" if len(bench.tasks) > 1 else bench.tasks[0].name
    return FinetuneOutcome(setup, done.results, {arm: out / "results.json"})


def settings_of(request: FinetuneRequest, *, usual: Node | None = None) -> FineTuning:
    """Defaults with what is `usual` for the model, and then what was given, laid over them. Raises UserError with
    every mistake."""
    given = dict(request.overrides)
    if request.epochs is not None:
        if "budget" in given:
            raise UserError(f"--epochs {request.epochs:g} and --budget {given['budget']} say two lengths; keep one")
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
        "--head_start": "--head-start",
    } | dict(also)
    value = node.value
    if isinstance(value, dict):
        value = {key: _in_their_own_words(child, also) for key, child in value.items()}
    return Node(value, said.get(node.origin, node.origin))


def _check_heeded(request: FinetuneRequest) -> None:
    """Raises UserError for an option that another one would have to give an effect."""
    strategies = [word.replace("-", "_") for word in request.strategies]
    if request.groups and not any("leave_one_out" in word or word == "all" for word in strategies):
        raise UserError("--group has an effect with --strategy leave_one_out alone; leave it out, or name that")
    if request.switch_rate is not None and not request.switch:
        raise UserError("--switch-rate has an effect with --switch alone; leave it out, or name a word list")
    if request.unlabelled_recipe is not None and not request.unlabelled:
        raise UserError("--unlabelled-recipe says what --unlabelled texts ask, but none are named; name some")


def read_task(request: FinetuneRequest, spec: str, observer: WorkObserver) -> TaskData:
    """Reads the rows of one task as the request has it, and tells how they were read. Raises UserError."""
    if (request.splits or request.transfer) and len(request.tasks) > 1:
        said = "--split" if request.splits else "--transfer"
        raise UserError(f"{said} names files of one task, but several are given; name their files in task files")
    further = further_sets(request.transfer) if request.transfer else {}
    asked = replace(request, splits=(*request.splits, *(f"{name}={path}" for name, path in further.items())))
    source = asked.find(spec)
    observer.on_line(source.why)
    data = read(source)
    data = data.without_leaks() if request.drop_leaked else data
    return _switched(request, data) if request.switch else data


def _switched(request: FinetuneRequest, data: TaskData) -> TaskData:
    """The data whose training rows stand there again with words of each file. Raises UserError for one without any."""
    rate = request.switch_rate if request.switch_rate is not None else SwitchedRows.rate
    if not 0 < rate <= 1:
        raise UserError(f"--switch-rate {rate:g}: is a share of the words; write a number above 0 and up to 1")
    rows = data.readable("train") if "train" in data.splits else ()
    if twice := [path for path in request.switch if request.switch.count(path) > 1]:
        raise UserError(f"--switch names {twice[0]} twice; leave one out")
    switched = SwitchedRows({path: Dictionary.read(path) for path in request.switch}, rate)
    switched.check(data.name, data.task)
    counts = {path: switched.num_known(path, rows, data.task) for path in request.switch}
    for path, count in counts.items():
        if not count:
            raise UserError(
                f"{path}: no word of its first column is in the training rows of {data.name}; name another list"
            )
    notes = [f"train: {count:,} of {len(rows):,} rows again in words of {path}" for path, count in counts.items()]
    return replace(data, switched=switched, notes=(*data.notes, *notes))


def _tell(request: FinetuneRequest, bench: Bench, plans: Mapping[str, StrategyRun], observer: WorkObserver) -> None:
    """What was found in the data, and what will be mixed."""
    for note in (*bench.notes, *_unknown(bench, request.max_unknown)):
        observer.on_note(note)
    if not request.drop_leaked and any(data.leaked for data in bench.tasks):
        observer.on_line("--drop-leaked leaves out training rows that stand in another split")
    for data in bench.tasks:
        counts = ", ".join(f"{split} {data.said_rows(split)}" for split in data.splits)
        labels = labels_of(data.task)
        classes = f"; {len(labels)} labels: {', '.join(map(str, labels[:6]))}" if labels else ""
        more = ", ..." if len(labels) > 6 else ""
        observer.on_line(f"{data.name}: rows: {counts}{classes}{more}".replace("\n", " "))
    if plans:
        observer.on_value(plans, "strategies, at equal steps for each task")
    steps = planned_steps(bench)
    _tell_mix(bench, "the mix of all" if plans else "the mix to come", steps, observer)


def _unknown(bench: Bench, most: float) -> list[str]:
    """A sentence for each task of whose rows, or texts to write, the tokenizer does not know some pieces. Raises
    UserError for a larger share of the rows than `most`."""
    said, vocabulary = [], bench.asked.model.tokenizer.vocabulary
    for name, splits in bench.asked.prepared.items():
        read, written = UnknownPieces(), UnknownPieces()
        for rows in splits.values():
            read += UnknownPieces.among(rows.rows.piece_ids, vocabulary)
            if rows.to_write is not None:
                written += UnknownPieces.among(rows.to_write.targets.piece_ids, vocabulary)
        remedy = "start from a model whose tokenizer knows this text"
        said += read.check(most, whose=f"the rows of {name}", remedy=remedy)
        said += [f"{written.of(f'the answers of {name}')}; none with one counts as right"] if written.unknown else []
    return said


def _tell_mix(bench: Bench, title: str, steps: int | None, observer: WorkObserver, *, seed: int | None = None) -> None:
    """Of several sources: how many of the steps' rows come from each; of one round where a time is the budget."""
    batches = bench.asked.batches
    if len(batches.units) < 2:
        return
    seed, each = bench.settings.seed if seed is None else seed, sum(batches.sizes.values())
    mix = TaskMix.of(bench, seed=seed, steps=steps or each)
    observer.on_value(mix, title if steps else f"{title}, each")


def _compared(setup: FinetuneSetup, observer: WorkObserver, device: torch.device) -> FinetuneOutcome:
    """Carries out each strategy and tells what each scores."""
    arms: dict[str, Path] = {}
    for name, staging in setup.plans.items():
        observer.on_line(f"strategy {name}")
        done = follow(replace(staging, bench=_watched(staging.bench, observer, device)), setup.out / name)
        if done.outcome is not None:
            return FinetuneOutcome(setup, (), arms, done.outcome.exit_code, done.outcome.step)
        arms[name] = setup.out / name / "results.json"
        _tell_realised(arms[name], observer)
        observer.on_value(done.results)
    return FinetuneOutcome(setup, (), arms)


def _watched(bench: Bench, observer: WorkObserver, device: torch.device) -> Bench:
    return replace(bench, device=device, observers=[_Seeds(observer, bench.settings.num_seeds), observer])


def _tell_realised(results: Path, observer: WorkObserver) -> None:
    """Of a strategy that was carried out: the mix as it was, in each stage that had several sources, by seed."""
    for stage, told in read_json_object(results)["mix"].items():
        for seed, one in told["realised"].items():
            rows, drawn = ({n: s[what] for n, s in one["sources"].items()} for what in ("rows", "drawn"))
            if len(rows) > 1:
                mix = TaskMix(one["steps"], rows, drawn)
                observer.on_value(mix, f"the mix as it was, {stage}, seed {seed}")


def _folder_for(bench: Bench, searched: str | None) -> Path:
    """A folder named by all that decides the figures but the number of seeds, so that the same request finds
    its runs again, and more seeds join them. searched: the budget of a search, which another one does not join."""
    made_of = bench.identity(bench.settings.seed).plain() | ({"search": searched} if searched else {})
    names = shortened("-".join(data.name for data in bench.tasks))
    return Path("runs", f"finetune-{names}-{digest(made_of, length=8)}{'-searched' if searched else ''}")


class _Seeds(Observer):
    """Tells, where there are several seeds, that the next one's run begins."""

    def __init__(self, observer: WorkObserver, num_seeds: int):
        self._observer, self._num_seeds, self._begun = observer, num_seeds, 0

    def on_start(self, *, step: int, total_steps: int) -> None:
        self._begun += 1
        if self._num_seeds > 1:
            self._observer.on_line(f"run {self._begun} (of {self._num_seeds} seeds at most)")
