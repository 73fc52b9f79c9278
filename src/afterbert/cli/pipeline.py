"""What `pretrain` and `demo` share: from texts to a store, from a store to a run, from a run to a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.cli.mixes import is_store, mixing_of, stores_together, tell_mix
from afterbert.cli.preparing import prepare_with_bar
from afterbert.cli.terminal import console, safe
from afterbert.cli.watch import Watch
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import load_model
from afterbert.probes.figure import Figure
from afterbert.recipes.recipe import Resolved, resolve, says_its_size, sizes_of
from afterbert.report import write_report
from afterbert.text.from_paths import sources_for
from afterbert.text.sources import Source
from afterbert.text.token_store.mixture import open_store
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.training.distribution.processes import Processes, SingleProcess
from afterbert.workflows.closing import Closing
from afterbert.workflows.fitting import Choice, fit, measured_choice
from afterbert.workflows.pretraining import PretrainingResult, pretrain, told_languages
from afterbert.workflows.run_folders import run_folder_for


@dataclass(frozen=True)
class PretrainRequest:
    """What the user asked of `pretrain`."""

    texts: tuple[str, ...] = ()
    recipe: str = "laptop"
    size: str | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    out: Path = Path("runs")
    name: str | None = None
    resume: Path | None = None
    start: str | None = None
    dry_run: bool = False
    allow_changes: bool = False
    sources: tuple[Source, ...] = field(default=())
    mixing: tuple[tuple[str, str], ...] = ()
    closing: Closing = Closing()


def run_pretraining(request: PretrainRequest, processes: Processes, device: torch.device) -> int:
    """The exit status: 0 finished, 143 or 130 stopped by a signal with everything saved."""
    if request.resume is not None:
        run, resolved, store = _opened(request)
        imported = None
    else:
        resolved = resolve(request.recipe, size=request.size, overrides=request.overrides)
        imported = load_model(request.start) if request.start else None
        if imported is not None:
            resolved = _from(imported, resolved)
        if request.dry_run:
            if processes.leads:
                print(resolved.text(), end="")
            return 0
        where = processes.on_rank_zero(lambda: str(store_for(request, resolved.recipe.tokenizer).folder))
        store = open_store(Path(where))
        told_languages(resolved.recipe, store)  # refuses before there is a run folder
        if is_to_be_fitted(request, resolved):
            resolved = fitted_to_budget(request, resolved, store, processes=processes, device=device)
        run = run_folder_for(request.out, resolved, store, name=request.name)
    result = train_and_report(
        run,
        resolved,
        store,
        imported=imported,
        allow_changes=request.allow_changes,
        processes=processes,
        device=device,
        closing=request.closing,
    )
    return result.outcome.exit_code


def is_to_be_fitted(request: PretrainRequest, resolved: Resolved) -> bool:
    """Whether the size is left to us: a budget in time, and no word about the model."""
    said = request.size or request.start or says_its_size(request.recipe)
    said = said or any(path.startswith("model.") for path, _ in request.overrides)
    return (
        resolved.recipe.training.budget.unit == "seconds" and not said and len(sizes_of(request.recipe)) > 1
    )


def fitted_to_budget(
    request: PretrainRequest, resolved: Resolved, store: Store, *, processes: Processes, device: torch.device
) -> Resolved:
    """The recipe in the size, batch and length that its minutes pay for here; says why."""

    def measured(size: str) -> Choice:
        asked = resolve(request.recipe, fitted_size=size, overrides=request.overrides)
        return measured_choice(asked, store, device=device, kept=request.out / "speed.json")

    def found() -> dict[str, Any]:
        recipe = resolved.recipe
        return asdict(
            fit(
                sizes_of(request.recipe),
                measured,
                store.split("train"),
                seconds=recipe.training.budget.amount * processes.size,
                length=recipe.length,
                batch=recipe.training.batch_size,
                given=[path for path, _ in request.overrides],
            )
        )

    made = processes.on_rank_zero(found)
    for reason in made["reasons"]:
        console.print(reason)
    settings = [(path, written) for path, written in made["settings"]]
    return resolve(request.recipe, fitted_size=made["size"], overrides=request.overrides, fitted=settings)


def train_and_report(
    run: RunFolder,
    resolved: Resolved,
    store: Store,
    *,
    imported: LoadedModel | None = None,
    allow_changes: bool = False,
    processes: Processes | None = None,
    device: torch.device | str = "cpu",
    closing: Closing | None = None,
) -> PretrainingResult:
    """Trains with a bar, then says what came out and where it lies; of several processes one does."""
    processes = processes or SingleProcess()
    weights = None
    if imported is not None:
        weights = imported.weights_to_start_from()
        for note in imported.notes:
            console.print(f"note: {safe(note)}")
    console.print(f"run folder: {run.path}")
    if processes.leads:
        tell_mix(run, resolved.recipe, store)
    if processes.size > 1:
        console.print(f"{processes.size} processes, each with its share of every batch")
    with Watch() as watch:
        result = pretrain(
            resolved,
            store,
            run,
            observers=[watch],
            weights=weights,
            allow_changes=allow_changes,
            processes=processes,
            device=device,
            closing=closing,
        )
    if not processes.leads:
        return result
    if result.outcome.state != "finished":
        console.print(f"stopped at step {result.outcome.step}, everything saved; go on with:")
        console.print(f"  afterbert pretrain --resume {run.path}")
        if processes.size > 1:
            console.print("  (by torchrun or srun as before, by one process, or by any number of them)")
        return result
    tell_mix(run, resolved.recipe, store, steps=result.outcome.step)
    report = write_report(run.path)
    if result.evaluation:
        print_figures(result.evaluation)
    console.print(f"model:  {run.model}")
    console.print(f"report: {report}")
    return result


def print_figures(evaluation: Mapping[str, Any]) -> None:
    """The closing figures, with what counting alone would reach beside them."""
    measures, baselines = evaluation.get("measures", {}), evaluation.get("baselines", {})
    if not measures and not evaluation.get("objective"):
        console.print(
            "no held-out figures: the texts left no document to hold out; give more or shorter documents"
        )
    if "masked_accuracy" in measures:
        by = f", by {evaluation['asked']}" if evaluation.get("asked") else ""
        console.print(f"held-out masked accuracy{by}: [bold]{measures['masked_accuracy']:.1%}[/bold]")
        for name, value in baselines.items():
            console.print(f"  guessing by the {name.replace('_', ' ')}: {value:.1%}")
        console.print(f"  bits per byte: {measures['bits_per_byte']:.3f}   loss: {measures['loss']:.3f}")
    for figure in evaluation.get("without_training", []):
        console.print(safe(str(Figure(**figure))))


def store_for(request: PretrainRequest, tokenizer: TokenizerRecipe) -> Store:
    """The store named, or one prepared beside the runs and found again by what it was made from."""
    are_stores = [is_store(text) for text in request.texts]
    if len(are_stores) > 1 and all(are_stores):
        return stores_together(request.texts, mixing_of(request.mixing), request.out)
    if request.mixing:
        raise UserError(
            "--mixing is a law between several stores; name them, each made by `afterbert prepare`"
        )
    if are_stores == [True]:
        return open_store(Path(request.texts[0]))
    if any(are_stores):
        raise UserError(
            "stores and texts are named together; prepare the texts first, with the stores' tokenizer"
        )
    sources = list(request.sources) or sources_for(list(request.texts))
    if not sources:
        raise UserError(
            "no text is named; name files or folders (afterbert pretrain my_texts/), or try `afterbert demo`"
        )
    made_from = {"sources": [source.digest() for source in sources], "tokenizer": to_plain(tokenizer)}
    out = request.out / "stores" / digest(made_from)
    if (out / "store.json").is_file():
        store = open_store(out)
        console.print(f"tokens: {out} (prepared before)")
        return store
    return prepare_with_bar(sources, out, tokenizer=tokenizer)


def _opened(request: PretrainRequest) -> tuple[RunFolder, Resolved, Store]:
    assert request.resume is not None
    run = RunFolder.open(request.resume)
    if not run.recipe.is_file():
        raise UserError(f"{run.path} has no recipe.yaml; it cannot be gone on with, start a new run")
    resolved = resolve(str(run.recipe), overrides=request.overrides)
    where = json.loads((run.path / "data.json").read_text())["store"]
    if request.texts:
        where = request.texts[0]
    return run, resolved, open_store(Path(where))


def _from(imported: LoadedModel, resolved: Resolved) -> Resolved:
    """The recipe with the folder's architecture and tokenizer in place of its own."""
    recipe = replace(
        resolved.recipe,
        model=imported.architecture,
        tokenizer=PretrainedTokenizer(name=str(imported.folder)),
        length=min(resolved.recipe.length, imported.architecture.max_position_embeddings),
    )
    return replace(resolved, recipe=recipe)
