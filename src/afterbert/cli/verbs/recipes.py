"""`afterbert recipes`: what comes along."""

from __future__ import annotations

from typing import Annotated

import typer


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A recipe's name, or a path to a YAML file, to be looked at closely.")
    ] = None,
) -> None:
    """List the recipes that come along; of one recipe, its sizes and the short names of its settings.

    Examples: `afterbert recipes`, `afterbert recipes spanbert`
    """
    from rich.table import Table

    from afterbert.api.terminal import console, safe
    from afterbert.recipes import known, resolve
    from afterbert.recipes.recipe import sizes_of

    table = Table(box=None)
    if name is None:
        for column in ("recipe", "title", "source"):
            table.add_column(column)
        for each in known():
            recipe = resolve(each).recipe
            table.add_row(each, safe(recipe.title), safe(recipe.paper or ""))
        console.print(table)
        return
    resolved = resolve(name)
    console.print(f"{safe(resolved.recipe.title)} ({safe(resolved.recipe.paper or 'no paper')})")
    console.print(
        f"sizes: {safe(', '.join(sizes_of(name)) or 'none')}; without --size: {safe(resolved.size or '-')}"
    )
    for column in ("short name", "value", "stands for"):
        table.add_column(column)
    for short, paths in resolved.names.items():
        values = dict.fromkeys(str(resolved.value(path)) for path in paths)
        table.add_row(f"--{safe(short)}", safe(", ".join(values)), safe(", ".join(paths)))
    console.print(table)
    console.print(f"every setting, with its origin: afterbert pretrain --recipe {safe(name)} --dry-run")
