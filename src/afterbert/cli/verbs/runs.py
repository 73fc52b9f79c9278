"""`afterbert runs`: which runs there are; another name for one, or its end."""

from pathlib import Path
from typing import Annotated

import typer

PLACE = 310


def runs(
    roots: Annotated[
        list[Path] | None, typer.Argument(help="Folders with runs; runs/ and demo/ when not given.")
    ] = None,
    rename: Annotated[
        tuple[Path, str] | None, typer.Option("--rename", help="A run, and its new name.", metavar="RUN NAME")
    ] = None,
    remove: Annotated[
        list[Path] | None, typer.Option("--remove", help="A run to remove; may be given several times.")
    ] = None,
) -> None:
    """List the runs on disk with their state, main figure and disk use; rename or remove them.

    Only folders that afterbert made are renamed or removed, and none that is being written. Go on with a renamed run
    by `pretrain --resume`; the command that made it would begin a new one.

    Examples:

    `afterbert runs`

    `afterbert runs --rename runs/laptop-tiny-1a2b3c4d novels`

    `afterbert runs --remove runs/novels`
    """
    import time

    from rich.filesize import decimal

    from afterbert.api.terminal import console, safe, table
    from afterbert.base.errors import UserError
    from afterbert.workflows.run_listing import ROOTS, listed_runs, remove_run, rename_run

    if (rename or remove) and roots:
        raise UserError(f"{roots[0]} has no effect beside --rename and --remove; leave it out")
    if rename:
        console.print(f"renamed: {safe(str(rename_run(*rename)))}")
    for one in remove or ():
        console.print(f"removed: {safe(str(one))} ({decimal(remove_run(one))})")
    if rename or remove:
        return
    found = listed_runs(roots or ROOTS)
    if not found:
        places = " or ".join(str(root) for root in roots or ROOTS)
        raise UserError(f"no run lies below {places}; `afterbert demo` makes one, or name another folder")
    made = table("run", "kind", "state", "figure", ">on disk", "changed", padding=(0, 1, 0, 0))
    for run in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.changed))
        cells = (str(run.path), run.kind, run.state, run.figure, decimal(run.num_bytes), when)
        made.add_row(*map(safe, cells))
    console.print(made)
    console.print(f"{len(found)} in all, {decimal(sum(run.num_bytes for run in found))}")
