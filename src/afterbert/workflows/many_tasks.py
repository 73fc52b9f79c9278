"""Many tasks in one fine-tuning: running text among them, groups, strategies beside each other, papers' settings."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from afterbert.base.config import build
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.plugins import find, name_of, names
from afterbert.base.tree import Node, parse, read
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.reading.find_task import named_path
from afterbert.downstream.strategies import Strategy
from afterbert.interop.loaded import LoadedModel
from afterbert.recipes.recipe import resolve
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.stores import store_of
from afterbert.workflows.usual_recipes import usual_recipe

_PAPERS = "afterbert.downstream.papers"
#: In T5's order.
ALL = ("unsupervised", "multi_task", "multi_task_finetune", "leave_one_out", "supervised")


def paper(name: str) -> Node:
    """Returns a paper's settings for fine-tuning, by its name or from a YAML file. Raises UserError."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UserError(f"settings {name} do not exist; check the path, or name one of: {', '.join(papers())}")
        return read(Path(name), label=name)
    if name not in papers():
        raise UserError(f"no settings for fine-tuning are called '{name}'; {did_you_mean(name, papers())}")
    return read(Path(str(resources.files(_PAPERS) / f"{name}.yaml")), label=f"{name}.yaml")


def papers() -> list[str]:
    """Returns the names of the settings that afterbert brings along."""
    found = (entry.name for entry in resources.files(_PAPERS).iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def texts_of(
    specs: Sequence[str], recipe: str | None, model: LoadedModel, settings: FineTuning, observer: WorkObserver
) -> list[Unlabelled]:
    """Makes tasks of running text: of stores, or of texts that are cut with the model's own tokenizer. Raises
    UserError."""
    found = []
    for spec in specs:
        name, path = named_path(spec)
        name = name or ("unlabelled" if len(specs) == 1 else path.stem)
        tokenizer = PretrainedTokenizer(name=str(model.folder))
        store = store_of([str(path)], tokenizer, out=Path("runs"), observer=observer)
        asked = recipe or usual_recipe(model.architecture, model.tokenizer.vocabulary)
        objective = resolve(asked).recipe.objective
        found.append(Unlabelled.of(store, objective, model, length=settings.length, name=name))
        observer.on_line(f"{name}: running text, {len(found[-1].plan):,} rows, as {asked}")
    return found


def steps_of_t5(bench: Bench, given: Sequence[str]) -> Node | None:
    """T5's optimizer and schedule from its settings, where a model of its kind writes its answers and none of the
    dotted names that were `given` names an optimizer; else None. T5's weights are of such different sizes that
    AdamW learns little (docs/log.md)."""
    writes = any(head.writes for head in bench.asked.heads.values())
    usual = usual_recipe(bench.asked.model.architecture, bench.asked.model.tokenizer.vocabulary)
    if not writes or usual != "t5" or {"optimizer", "optimizer.type"} & {*given}:
        return None
    settings = paper("t5")
    return replace(settings, value={key: settings.value[key] for key in ("optimizer", "schedule")})


def groups_of(written: Sequence[str], tasks: Sequence[str]) -> dict[str, str]:
    """Returns task -> group from texts such as `glue=sst2,stsb`. Raises UserError.

    >>> groups_of(["glue=sst2,stsb"], ["sst2", "stsb", "trec"])
    {'sst2': 'glue', 'stsb': 'glue'}
    """
    found: dict[str, str] = {}
    for one in written:
        group, equals, listed = one.partition("=")
        members = [name.strip() for name in listed.split(",")]
        if not (group and equals and all(members)):
            raise UserError(f"--group {one} is no NAME=TASK,TASK; write --group glue=sst2,stsb")
        for name in members:
            if name not in tasks:
                raise UserError(f"--group {one}: no task is called '{name}'; {did_you_mean(name, list(tasks))}")
            found[name] = group
    return found


def strategies_of(written: Sequence[str]) -> dict[str, Strategy]:
    """Returns the strategies by their words, where `all` stands for T5's five; `{type: supervised, share: 0.5}` sets
    one. Raises UserError."""
    found: dict[str, Strategy] = {}
    for word in written:
        if word == "all":
            found |= {name: find(Strategy, name)() for name in ALL}
            continue
        if word.startswith("{"):
            made = build(Strategy, parse(word, label="strategy"))
        else:
            plain = word.replace("-", "_")
            if plain not in names(Strategy):
                known = [*names(Strategy), "all"]
                raise UserError(f"--strategy: no strategy is called '{word}'; {did_you_mean(plain, known)}")
            made = find(Strategy, plain)()
        if name_of(made) in found:
            raise UserError(
                f"--strategy: {name_of(made)} is named twice, but is one arm; compare two of a kind in two runs"
            )
        found[name_of(made)] = made
    return found
