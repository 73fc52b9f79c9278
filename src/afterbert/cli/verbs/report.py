"""`afterbert report`: a run as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.base.visible import visible_line
from afterbert.cli.options import Overwrite

PLACE = 320


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run, finished or not.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write it; default: report.html in the run folder.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the web browser.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a run's report: one HTML file with everything in it, and its numbers as Markdown beside it.

    Example: `afterbert report runs/laptop-tiny --open`
    """
    from afterbert.report import write_report

    path = write_report(run, out, overwrite=overwrite)
    print(visible_line(str(path)))
    if open_:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
