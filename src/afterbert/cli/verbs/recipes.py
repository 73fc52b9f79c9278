"""`afterbert recipes`: what comes along."""

from __future__ import annotations


def recipes() -> None:
    """List the recipes that come along, one a line.

    Example: `afterbert recipes`
    """
    from rich.table import Table

    from afterbert.cli.terminal import console, safe
    from afterbert.recipes import known, resolve

    table = Table(box=None)
    for column in ("recipe", "title", "source"):
        table.add_column(column)
    for name in known():
        recipe = resolve(name).recipe
        table.add_row(name, safe(recipe.title), safe(recipe.paper or ""))
    console.print(table)
