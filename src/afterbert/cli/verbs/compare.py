"""`afterbert compare`: runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Overwrite

PLACE = 330


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two runs or more, of any objectives.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")] = Path("comparison.html"),
    overwrite: Overwrite = False,
) -> None:
    """Lay runs side by side: what differs in their recipes, figures with intervals, curves, cost.

    Runs of different objectives are compared by the closing figure that all share.

    Example: `afterbert compare runs/laptop-tiny-1a2b3c4d runs/electra-tiny-5e6f7a8b`
    """
    from afterbert.api.terminal import console, safe
    from afterbert.base.errors import UserError
    from afterbert.report.comparison import comparison_of

    if out.suffix not in (".html", ".htm"):
        raise UserError(f"{out}: a comparison is an .html file; name one, or leave it out")
    page = comparison_of(runs)
    written = page.write(out, overwrite=overwrite)
    console.print(safe(page.lead[0]))
    print(written)
