"""From what a user asks of pre-training to a run: recipe, store, size, folder; then the run itself."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from afterbert.base.config import build, to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder, check_name, write_atomically
from afterbert.base.small_files import read_json_object
from afterbert.base.tree import Node, located, override
from afterbert.interop.heads import shapes_of
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Architecture
from afterbert.objectives.distilled import Distilled
from afterbert.recipes.files import sizes_of
from afterbert.recipes.recipe import Recipe, Resolved, of_objects, resolve, says_its_size
from afterbert.text.sources import Source
from afterbert.text.token_store.mixture import MixtureStore, open_store
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.training.devices import default_device
from afterbert.training.distribution.processes import Processes, SingleProcess
from afterbert.workflows.closing import Closing
from afterbert.workflows.fitting import Choice, fit, measured_choice
from afterbert.workflows.loading import load_finished
from afterbert.workflows.memory import check_memory
from afterbert.workflows.observer import NOBODY, WorkObserver
from afterbert.workflows.pretraining import PretrainingResult, pretrain
from afterbert.workflows.run_folders import run_folder_for, store_of_run
from afterbert.workflows.stores import check_known, mix_of, store_of
from afterbert.workflows.text_options import TextOptions
from afterbert.workflows.tokenizer_choice import check_tokenizer
from afterbert.workflows.usual_recipes import usual_recipe

#: The recipe of whoever names none and starts from no model.
USUAL = "laptop"


@dataclass(frozen=True)
class PretrainRequest:
    """A request for pre-training, as a user makes it."""

    texts: tuple[str, ...] = ()
    """Paths of texts or of stores, `hub:NAME`, or `-`; for a run that is gone on with, another place of its store."""
    recipe: str | Recipe | None = None
    """The name of a recipe, the path of a YAML file, or a recipe made of objects; None for laptop, or for the usual one
    of the model to start from where laptop's task is not for its kind."""
    size: str | None = None
    """One of the recipe's sizes; None leaves it to the recipe, or to the budget where that is a time."""
    overrides: tuple[tuple[str, str], ...] = ()
    """Dotted paths or short names with values as YAML writes them."""
    out: Path = Path("runs")
    """The folder in which run folders are made."""
    name: str | None = None
    """The run's name; None makes one of the recipe and a digest of all that decides the result."""
    resume: Path | None = None
    """A run folder to go on with; the recipe is then the run's own."""
    start: str | None = None
    """A model whose weights, architecture and tokenizer the run starts from."""
    teacher: str | None = None
    """A model whose answers to the same rows are learned too (DistilBERT's losses)."""
    allow_changes: bool = False
    """Whether a run may be gone on with under a changed recipe."""
    sources: tuple[Source, ...] = ()
    """Sources of text as objects, in place of `texts`."""
    mixing: tuple[tuple[str, str], ...] = ()
    """The law between several stores, as settings."""
    closing: Closing = Closing()
    """Labelled data for the closing figures."""
    reading: TextOptions = TextOptions()
    """How texts are read; has no effect on stores."""

    def __post_init__(self) -> None:
        if self.name is not None:
            check_name(self.name)  # before the texts are read, which may take an hour


def run_request(
    request: PretrainRequest,
    *,
    observer: WorkObserver = NOBODY,
    processes: Processes | None = None,
    device: torch.device | None = None,
) -> PretrainingResult:
    """Carries the request out, or goes on with what was begun of it, and returns what the run came to.

    Several processes call it alike. device: the GPU where there is one if it is None. Raises UserError for whatever
    the user can mend, before the first step.
    """
    processes, device = processes or SingleProcess(), device or default_device()
    start, notes = None, []
    if request.resume is not None:
        run, resolved, store = _gone_on_with(request, request.resume)
    else:
        start = load_finished(request.start) if request.start else None
        if request.recipe is None:
            request = replace(request, recipe=usual_recipe_for(start))
            if request.recipe != USUAL:
                observer.on_line(f"recipe: {request.recipe}, the usual one for such a model (--recipe names another)")
        resolved = resolved_for(request, start, num_processes=processes.size)
        told: Any = {"sources": request.sources, "mixing": request.mixing, "reading": request.reading}
        cut_by = resolved.recipe.tokenizer
        folder = processes.on_rank_zero(  # one process makes the store, and all open it
            lambda: str(store_of(request.texts, cut_by, out=request.out, observer=observer, wait=False, **told).folder)
        )
        store = open_store(Path(folder), wait=False)
        notes = [*check_tokenizer(resolved, store), *check_known(store, request.reading.max_unknown)]
        store.telling(resolved.recipe.model.languages)  # refuses before there is a run folder
        objective = resolved.recipe.objective
        if start is None and objective.from_drawn_weights:
            notes.append(objective.from_drawn_weights)
        for model in (start, objective.model if isinstance(objective, Distilled) else None):
            if model is not None:
                store.check_made_with(
                    model.tokenizer,
                    whose=f"the model {model.name}",
                    remedy=f"prepare the texts with --tokenizer {model.folder}, or fit the model to them by "
                    "`afterbert adapt-vocabulary`",
                )
        if is_to_be_fitted(request, resolved):
            resolved, reasons = fitted_to_budget(request, resolved, store, processes=processes, device=device)
            for reason in reasons:
                observer.on_line(reason)
        run = run_folder_for(request.out, resolved, store, name=request.name)
    for note in (*(start.notes if start else ()), *notes):
        observer.on_note(note)
    observer.on_line(f"run folder: {run.path}")
    if processes.leads:
        tell_mix(run, resolved.recipe, store, observer)
    if processes.size > 1:
        observer.on_line(f"{processes.size} processes, each with its share of every batch")
    result = pretrain(
        resolved,
        store,
        run,
        observers=[observer],
        weights=start.weights_to_start_from() if start else None,
        allow_changes=request.allow_changes,
        processes=processes,
        device=device,
        closing=request.closing,
    )
    if processes.leads and result.outcome.state == "finished":
        tell_mix(run, resolved.recipe, store, observer, steps=result.outcome.step)
    return result


def usual_recipe_for(start: LoadedModel | None) -> str:
    """Returns the recipe where none is named: laptop, or the usual one of a model that laptop's task is not for."""
    if start is None or start.architecture.is_encoder:
        return USUAL
    return usual_recipe(start.architecture, start.tokenizer.vocabulary)


def resolved_for(request: PretrainRequest, start: LoadedModel | None = None, *, num_processes: int = 1) -> Resolved:
    """Returns the recipe asked for, with architecture and tokenizer of the model to start from. Raises UserError, also
    if it does not fit into this machine's memory."""
    if start is not None and any(path.partition(".")[0] == "tokenizer" for path, _ in request.overrides):
        raise UserError(
            f"the model {start.name} brings its own tokenizer; leave --tokenizer out, or fit the model to another one "
            "by `afterbert adapt-vocabulary`"
        )
    recipe = request.recipe or usual_recipe_for(start)
    if isinstance(recipe, Recipe):
        if request.size is not None:
            raise UserError(f"size {request.size} is for a recipe by name; a recipe made of objects says its own")
        resolved = of_objects(recipe, overrides=request.overrides)
    else:
        resolved = resolve(recipe, size=request.size, overrides=request.overrides)
    if request.teacher is not None:
        resolved = _taught(resolved, request.teacher)
    if start is not None:
        _check_kind(resolved, start)
        resolved = resolved.replaced(
            f"the model {start.name}",
            model=_architecture_of(start, resolved),
            tokenizer=PretrainedTokenizer(name=str(start.folder)),
            length=min(resolved.recipe.length, start.longest),
        )
    vocab_size = getattr(resolved.recipe.tokenizer, "vocab_size", None) or 0  # that of a store is known later
    check_memory(resolved.recipe, vocab_size, processes=num_processes)
    if resolved.recipe.training.track is not None:
        resolved.recipe.training.track.check()
    return resolved


def _check_kind(resolved: Resolved, start: LoadedModel) -> None:
    """Raises UserError that names another recipe where this one's task is not for the model's kind."""
    try:
        resolved.recipe.objective.check(start.architecture)
    except UserError as why:
        said = why.lines[0].partition(";")[0]
        raise UserError(f"the model {start.name}: {said}; take --recipe {usual_recipe_for(start)}") from None


def _taught(resolved: Resolved, teacher: str) -> Resolved:
    """The recipe whose task is also learned from a teacher, on texts cut into the teacher's pieces."""
    model = load_finished(teacher)
    where = str(Path(model.name).resolve()) if Path(model.name).exists() else teacher
    return resolved.replaced(
        f"the teacher {teacher}",
        objective=Distilled(resolved.recipe.objective, where, model.digests.get("backbone", "")),
        tokenizer=PretrainedTokenizer(name=str(model.folder)),
        length=min(resolved.recipe.length, model.longest),
    )


def _architecture_of(start: LoadedModel, resolved: Resolved) -> Architecture:
    """The model's architecture with what the command line says of it, which must leave the weights what they are:
    another rate of dropout does, and so does another depth where layers share theirs. Raises UserError."""
    tree: Node = located(to_plain(start.architecture), f"the model {start.name}")
    said = {path: origin for path, origin in resolved.origins().items() if path.startswith("model.")}
    said = {path: origin for path, origin in said.items() if origin.startswith("--")}
    for path, origin in said.items():
        value = resolved.value(path)
        written = value if isinstance(value, str) else json.dumps(value)
        tree = override(tree, path.removeprefix("model."), written, origin)
    found: Architecture = build(Architecture, tree) if said else start.architecture
    if said and shapes_of(found) != shapes_of(start.architecture):
        raise UserError(
            f"the weights of the model {start.name} do not fit {', '.join(said.values())}; leave it out, or train from "
            "fresh weights without --from"
        )
    return found


def is_to_be_fitted(request: PretrainRequest, resolved: Resolved) -> bool:
    """Says whether the size is left to us: a budget in time, and no word about the model."""
    recipe = request.recipe or USUAL
    if isinstance(recipe, Recipe) or resolved.recipe.training.budget.unit != "seconds":
        return False
    said = request.size or request.start or says_its_size(recipe)
    said = said or any(path.startswith("model.") for path, _ in request.overrides)
    return not said and len(sizes_of(recipe)) > 1


def fitted_to_budget(
    request: PretrainRequest, resolved: Resolved, store: Store, *, processes: Processes, device: torch.device
) -> tuple[Resolved, Sequence[str]]:
    """Returns the recipe in the size, batch and length that fit its minutes here, and the reasons."""
    named = str(request.recipe or USUAL)

    def measured(size: str) -> Choice:
        asked = resolve(named, fitted_size=size, overrides=request.overrides)
        return measured_choice(asked, store, device=device, kept=request.out / "speed.json")

    def found() -> dict[str, Any]:
        recipe = resolved.recipe
        return asdict(
            fit(
                sizes_of(named),
                measured,
                store.split("train"),
                seconds=recipe.training.budget.amount * processes.size,
                length=recipe.length,
                batches=recipe.training.batch_sizes,
                can_grow=recipe.training.order == "shuffled" and not recipe.training.batch_growth,
                given=[path for path, _ in request.overrides],
            )
        )

    made = processes.on_rank_zero(found)
    settings = [(path, written) for path, written in made["settings"]]
    fitted = resolve(named, fitted_size=made["size"], overrides=request.overrides, fitted=settings)
    return fitted, made["reasons"]


def tell_mix(run: RunFolder, recipe: Recipe, store: Store, observer: WorkObserver, *, steps: int | None = None) -> None:
    """Tells, of a mixture of stores, the mix, planned or after so many steps, and keeps it in the run's folder."""
    if not isinstance(store, MixtureStore):
        return
    mix = mix_of(recipe, store, steps)
    observer.on_value(mix, "the mix to come" if steps is None else "the mix as it was")
    path = run.path / "mixture.json"
    kept = read_json_object(path) if path.is_file() else {}
    kept["planned" if steps is None else "realised"] = mix.plain()
    write_atomically(path, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _gone_on_with(request: PretrainRequest, folder: Path) -> tuple[RunFolder, Resolved, Store]:
    run = RunFolder.open(folder)
    if not run.recipe.is_file():
        raise UserError(f"{run.path} has no recipe.yaml; it cannot be gone on with, start a new run")
    resolved = resolve(str(run.recipe), overrides=request.overrides)
    store = open_store(Path(request.texts[0]), wait=False) if request.texts else store_of_run(run, wait=False)
    return run, resolved, store
