"""`afterbert doctor`: what this machine can do, and whether everything is in place."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Size, given_options, settings_only

PLACE = 510
TAKES_RECIPE_OPTIONS = True


def doctor(
    context: typer.Context,
    prove_resume: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="Kill and resume this recipe here, and compare every loss and weight with an unbroken run.",
        ),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="For the proof: tokens that `prepare` made, not the bundled text.")
    ] = None,
    size: Size = None,
    steps: Annotated[int, typer.Option(min=1, help="For the proof: how long the run is.")] = 40,
    kills: Annotated[
        int, typer.Option(min=0, help="For the proof: how many SIGKILLs at random steps, beside those inside a save.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="For the proof: the seed that chooses the moments of the kills.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="For the proof: a folder on the disk to use.")] = Path(
        "runs"
    ),
) -> int:
    """Check this machine and this installation, and say what to mend.

    With --prove-resume it runs a recipe for some steps, once undisturbed and once killed at random steps,
    at five points inside a save and stopped by SIGTERM, and compares the two bit for bit: about a minute.

    Example: `afterbert doctor`

    Example: `afterbert doctor --prove-resume bert --store my_store --kills 10 --steps 60`
    """
    settings = settings_only(context)
    if prove_resume is None:
        from afterbert.base.errors import UserError

        given = [f"--{name}" for name in (*given_options(context), *(name for name, _ in settings))]
        if given:
            raise UserError(f"{given[0]} has no effect without --prove-resume RECIPE; add it, or leave this out")
        return _check_up()
    from afterbert.cli.resume_proof import prove_and_print

    return prove_and_print(
        prove_resume, store=store, size=size, steps=steps, kills=kills, seed=seed, out=out, overrides=settings
    )


def _check_up() -> int:
    from afterbert.api.terminal import console, safe, table
    from afterbert.cli.checkup import findings

    made = table(show_header=False)
    worst = 0
    for finding in findings():
        mark = "[green]ok[/green]" if finding.is_good else "[yellow]look[/yellow]"
        made.add_row(mark, safe(finding.what), safe(finding.found))
        worst = max(worst, 0 if finding.is_good or not finding.is_needed else 1)
    console.print(made)
    return worst
