"""`doctor --prove-resume`: sets the proof up, shows how it goes, and prints what came out."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from afterbert.api.terminal import ProgressLines, console, safe, table
from afterbert.recipes.recipe import Recipe
from afterbert.text.from_paths import sources_for
from afterbert.text.token_store.mixture import open_store
from afterbert.workflows.resume_proof import Proof, ResumeVerdict, Say, interruptions, proof_recipe
from afterbert.workflows.stores import prepared


def prove_and_print(
    recipe: str,
    *,
    store: Path | None,
    size: str | None,
    steps: int,
    kills: int,
    seed: int,
    out: Path,
    overrides: Sequence[tuple[str, str]],
) -> int:
    """Returns the exit status: 0 if every bit agrees, else 1; then the folders of both runs stay. Raises UserError."""
    resolved, every = proof_recipe(recipe, size=size, steps=steps, kills=kills, overrides=overrides)
    if store is not None:
        open_store(store)
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="proof-", dir=out))
    # the proof ends so that what it started is ended, and what it wrote removed
    keeps, before = False, signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        (folder / "recipe.yaml").write_text(resolved.text(), encoding="utf-8")
        plan = interruptions(kills, every=every, seed=seed)
        console.print(
            f"proving resume: {safe(resolved.name)}, {steps} steps, a checkpoint every {every}, "
            f"{len(plan)} interruptions"
        )
        with _spoken() as say:
            used = store or _bundled(folder, resolved.recipe)
            verdict = Proof(folder, store=used, recipe=folder / "recipe.yaml", say=say)(plan)
        _print(verdict)
        keeps = not verdict.holds
    finally:
        signal.signal(signal.SIGTERM, before)
        if not keeps:
            shutil.rmtree(folder)
    if keeps:
        console.print(f"both runs are kept for a look: {safe(str(folder))}")
    return 0 if verdict.holds else 1


def _bundled(folder: Path, recipe: Recipe) -> Path:
    """A store of the texts on the language that every Python carries, with the recipe's own tokenizer."""
    from pydoc_data.topics import topics

    (folder / "python.txt").write_text("\n\n".join(topics.values()), encoding="utf-8")
    sources = sources_for([str(folder / "python.txt")])
    prepared(sources, folder / "store", tokenizer=recipe.tokenizer)
    return folder / "store"


@contextmanager
def _spoken() -> Iterator[Say]:
    """Tells what is done now: one line that changes on a terminal, a line each elsewhere."""
    if not console.is_terminal:
        yield lambda text: ProgressLines(every=0)(f"  {text}")
        return
    with console.status("") as status:
        yield lambda text: status.update(safe(text))


def _print(verdict: ResumeVerdict) -> None:
    made = table("interruption", ">last step logged", ">resumes from step", "")
    for struck in verdict.struck:
        mark = f"[red]{safe(struck.mistake)}[/red]" if struck.mistake else "[green]ok[/green]"
        made.add_row(str(struck.interruption), str(struck.last_step), str(struck.resumes_from), mark)
    console.print(made)
    compared = verdict.compared
    counted = f"{len(compared.steps)} steps, {len(compared.evaluations)} evaluations"
    counted += f", {len(compared.files)} tensor files"
    if verdict.difference is not None:
        console.print(f"[red]not the same[/red]: {safe(str(verdict.difference))}")
    for cause in verdict.causes:
        console.print(f"  {safe(cause)}")
    if verdict.holds:
        console.print(f"[green]proven[/green]: every bit of {counted} is that of the uninterrupted run")
    elif verdict.difference is None:
        console.print(f"[yellow]not proven[/yellow]: every bit of {counted} agrees, but see the interruptions above")
