"""What `pretrain` and `demo` share: from texts to a store, from a store to a run, from a run to a report."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from afterbert.base.config import build, digest, to_plain
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.plugins import name_of, names
from afterbert.base.runs import RunFolder
from afterbert.base.tree import Node
from afterbert.cli.mixes import is_store, mixing_of, stores_together, tell_mix
from afterbert.cli.runs import run_folder_for
from afterbert.cli.terminal import bar, console, safe
from afterbert.cli.watch import Watch
from afterbert.interop.importing import Imported, import_folder
from afterbert.probes.figure import Figure
from afterbert.recipes.fitting import Choice, fit, measured_choice
from afterbert.recipes.pretraining import Pretrained, pretrain, told_languages
from afterbert.recipes.recipe import Resolved, resolve, sizes_of
from afterbert.recipes.without_training import Closing
from afterbert.report import write_report
from afterbert.text.from_paths import sources_for
from afterbert.text.joining import merge_shards
from afterbert.text.planes import Plane
from afterbert.text.prepare import add_plane, make_tokenizer, prepare
from afterbert.text.shards import Shard, prepare_shard
from afterbert.text.sources import Source
from afterbert.text.store import Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.pretrained import Pretrained as PretrainedTokenizer
from afterbert.training.processes import Alone, Processes


@dataclass(frozen=True)
class Request:
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


def run_pretraining(request: Request, processes: Processes, device: torch.device) -> int:
    """The exit status: 0 finished, 143 or 130 stopped by a signal with everything saved."""
    if request.resume is not None:
        run, resolved, store = _opened(request)
        imported = None
    else:
        resolved = resolve(request.recipe, size=request.size, overrides=request.overrides)
        imported = import_folder(request.start) if request.start else None
        if imported is not None:
            resolved = _from(imported, resolved, request.start)
        if request.dry_run:
            if processes.leads:
                print(resolved.text(), end="")
            return 0
        where = processes.led(lambda: str(store_for(request, resolved.recipe.tokenizer).folder))
        store = Store.open(Path(where))
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


def is_to_be_fitted(request: Request, resolved: Resolved) -> bool:
    """Whether the size is left to us: a budget in time, and no word about the model."""
    said = request.size or request.start or any(path.startswith("model.") for path, _ in request.overrides)
    return (
        resolved.recipe.training.budget.unit == "seconds" and not said and len(sizes_of(request.recipe)) > 1
    )


def fitted_to_budget(
    request: Request, resolved: Resolved, store: Store, *, processes: Processes, device: torch.device
) -> Resolved:
    """The recipe in the size, batch and length that its minutes pay for here; says why."""

    def measured(size: str) -> Choice:
        asked = resolve(request.recipe, size=size, overrides=request.overrides)
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
            )
        )

    made = processes.led(found)
    for reason in made["reasons"]:
        console.print(reason)
    settings = [(path, written) for path, written in made["settings"]]
    return resolve(request.recipe, size=made["size"], overrides=request.overrides, fitted=settings)


def train_and_report(
    run: RunFolder,
    resolved: Resolved,
    store: Store,
    *,
    imported: Imported | None = None,
    allow_changes: bool = False,
    processes: Processes | None = None,
    device: torch.device | str = "cpu",
    closing: Closing | None = None,
) -> Pretrained:
    """Trains with a bar, then says what came out and where it lies; of several processes one does."""
    processes = processes or Alone()
    weights = None
    if imported is not None:
        weights = {"backbone": imported.backbone} | (
            {"lm_head": imported.lm_head} if imported.lm_head else {}
        )
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
        console.print(f"held-out masked accuracy: [bold]{measures['masked_accuracy']:.1%}[/bold]")
        for name, value in baselines.items():
            console.print(f"  guessing by the {name.replace('_', ' ')}: {value:.1%}")
        console.print(f"  bits per byte: {measures['bits_per_byte']:.3f}   loss: {measures['loss']:.3f}")
    for figure in evaluation.get("without_training", []):
        console.print(safe(str(Figure(**figure))))


def store_for(request: Request, tokenizer: TokenizerRecipe) -> Store:
    """The store named, or one prepared beside the runs and found again by what it was made from."""
    are_stores = [is_store(text) for text in request.texts]
    if len(are_stores) > 1 and all(are_stores):
        return stores_together(request.texts, mixing_of(request.mixing), request.out)
    if request.mixing:
        raise UserError(
            "--mixing is a law between several stores; name them, each made by `afterbert prepare`"
        )
    if are_stores == [True]:
        return Store.open(Path(request.texts[0]))
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
        store = Store.open(out)
        console.print(f"tokens: {out} (prepared before)")
        return store
    return prepare_with_bar(sources, out, tokenizer=tokenizer)


def prepare_with_bar(
    sources: Sequence[Source],
    out: Path,
    *,
    tokenizer: TokenizerRecipe,
    processes: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> Store:
    """`prepare` with a progress bar, then the closing table; nothing is printed when `quiet`."""
    processes = processes or os.cpu_count() or 1
    if quiet:
        return prepare(sources, out, tokenizer=tokenizer, processes=processes, **options)
    with bar(1.0, "preparing") as progress:

        def watch(done: float, total: float, phase: str) -> None:
            progress.to(done, phase, total=total)

        store = prepare(sources, out, tokenizer=tokenizer, processes=processes, progress=watch, **options)
    console.print(safe(store.tally.table()))
    console.print(f"tokens: {out}")
    return store


def make_tokenizer_with_bar(
    sources: Sequence[Source],
    out: Path,
    *,
    tokenizer: TokenizerRecipe,
    processes: int | None = None,
    **options: Any,
) -> None:
    """Only the tokenizer, with a progress bar."""
    with bar(1.0, "preparing") as progress:
        make_tokenizer(
            sources,
            out,
            tokenizer=tokenizer,
            processes=processes or os.cpu_count() or 1,
            progress=lambda done, total, phase: progress.to(done, phase, total=total),
            **options,
        )
    console.print(f"tokenizer: {out}")


def prepare_shard_with_bar(
    sources: Sequence[Source],
    out: Path,
    shard: Shard,
    *,
    tokenizer: TokenizerRecipe,
    processes: int | None = None,
    **options: Any,
) -> None:
    """One shard, with a progress bar."""
    with bar(1.0, "preparing") as progress:
        prepare_shard(
            sources,
            out,
            shard,
            tokenizer=tokenizer,
            processes=processes or os.cpu_count() or 1,
            progress=lambda done, total, phase: progress.to(done, phase, total=total),
            **options,
        )
    console.print(f"shard {shard}: {out}")


def merge_with_bar(shards: Sequence[Path], out: Path) -> Store:
    """The store of all shards, with a progress bar, then the closing table."""
    with bar(1.0, "merging") as progress:
        store = merge_shards(
            shards, out, progress=lambda done, total, phase: progress.to(done, phase, total=total)
        )
    console.print(safe(store.tally.table()))
    console.print(f"tokens: {out}")
    return store


def add_plane_with_bar(
    sources: Sequence[Source], out: Path, plane: Plane, *, processes: int | None = None
) -> None:
    """One more annotation for a finished store, with a progress bar."""
    with bar(1.0, "adding a plane") as progress:
        add_plane(
            out,
            sources,
            plane,
            processes=processes or os.cpu_count() or 1,
            progress=lambda done, total, phase: progress.to(done, phase, total=total),
        )
    console.print(f"{out} has the plane {name_of(plane)} now")


def tokenizer_from(written: str, vocab_size: int | None) -> TokenizerRecipe:
    """A tokenizer to train, by its name, or one that exists, by its folder or hub name. Raises UserError."""
    if written in names(TokenizerRecipe) and written != "pretrained":
        settings = {"type": written} | ({"vocab_size": vocab_size} if vocab_size else {})
        return named(TokenizerRecipe, settings, "--tokenizer")
    if vocab_size is not None:
        raise UserError(
            f"--vocab-size is for a tokenizer that is trained; '{written}' has its own vocabulary"
        )
    if not Path(written).is_dir() and "/" not in written:
        trained = [name for name in names(TokenizerRecipe) if name != "pretrained"]
        raise UserError(
            f"'{written}' is neither a folder nor a tokenizer to train; {did_you_mean(written, trained)}"
        )
    return PretrainedTokenizer(name=written)


def named(kind: Any, settings: Mapping[str, Any], option: str) -> Any:
    """An instance of a config or plug-in from the values of an option. Raises UserError that names the
    option."""
    tree = Node({key: Node(value, option) for key, value in settings.items()}, option)
    return build(kind, tree)


def _opened(request: Request) -> tuple[RunFolder, Resolved, Store]:
    assert request.resume is not None
    run = RunFolder.open(request.resume)
    if not run.recipe.is_file():
        raise UserError(f"{run.path} has no recipe.yaml; it cannot be gone on with, start a new run")
    resolved = resolve(str(run.recipe), overrides=request.overrides)
    where = json.loads((run.path / "data.json").read_text())["store"]
    if request.texts:
        where = request.texts[0]
    return run, resolved, Store.open(Path(where))


def _from(imported: Imported, resolved: Resolved, start: str | None) -> Resolved:
    """The recipe with the folder's architecture and tokenizer in place of its own."""
    if imported.tokenizer is None:
        raise UserError(f"{start} has no tokenizer.json, so its pieces are unknown; add it to the folder")
    recipe = replace(
        resolved.recipe,
        model=imported.architecture,
        tokenizer=PretrainedTokenizer(name=str(imported.tokenizer)),
        length=min(resolved.recipe.length, imported.architecture.max_position_embeddings),
    )
    return replace(resolved, recipe=recipe)
