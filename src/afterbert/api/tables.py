"""What a person sees of a value that has a form of its own: a table on a terminal."""

from __future__ import annotations

from functools import singledispatch

from rich.console import RenderableType
from rich.table import Table

from afterbert.api.terminal import safe
from afterbert.downstream.finetuning.mix import TaskMix


@singledispatch
def drawn(value: object, title: str = "") -> RenderableType:
    """Draws a value as rich does: a table where one is known for its class, else its text."""
    return f"{title}: {safe(str(value))}" if title else safe(str(value))


@drawn.register
def _(mix: TaskMix, title: str = "") -> RenderableType:
    """How many of the steps' rows come from each source, and how many rounds through it that is."""
    table = Table(box=None, header_style="bold", title=f"{title}: {mix.steps:,} steps", title_justify="left")
    for column in ("source", "training rows", "rows drawn", "share", "epochs"):
        table.add_column(column, justify="left" if column == "source" else "right")
    for name, one in mix.plain()["sources"].items():
        table.add_row(
            safe(name), f"{one['rows']:,}", f"{one['drawn']:,}", f"{one['share']:.1%}", f"{one['epochs']:.2f}"
        )
    return table
