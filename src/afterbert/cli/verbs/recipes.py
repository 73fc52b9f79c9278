"""`afterbert recipes`: what comes along."""

from typing import Annotated

import typer

PLACE = 220


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A recipe's name, or a path to a YAML file; without it all are listed.")
    ] = None,
) -> None:
    """List the recipes of afterbert; for one recipe, list its sizes and the short names of its settings.

    Examples: `afterbert recipes`, `afterbert recipes spanbert`
    """
    from rich.table import Table

    from afterbert.api.terminal import console, safe
    from afterbert.recipes.files import heading_of, known

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    if name is None:
        table.add_column("recipe", no_wrap=True)
        table.add_column("title")
        table.add_column("source")
        for each in known():
            heading = heading_of(each)
            table.add_row(each, safe(heading.title), safe(heading.paper or ""))
        console.print(table, soft_wrap=False)
        console.print("sizes and settings of one: afterbert recipes NAME")
        return
    from afterbert.recipes import resolve

    resolved = resolve(name)
    sizes = ", ".join(heading_of(name).sizes) or "none"
    console.print(f"{safe(resolved.recipe.title)} ({safe(resolved.recipe.paper or 'no paper')})")
    console.print(f"sizes: {safe(sizes)}; without --size: {safe(resolved.size or '-')}")
    for column in ("short name", "value", "stands for"):
        table.add_column(column, overflow="fold")
    for short, paths in resolved.names.items():
        values = dict.fromkeys(str(resolved.value(path)) for path in paths)
        table.add_row(f"--{safe(short)}", safe(", ".join(values)), safe(", ".join(paths)))
    console.print(table, soft_wrap=False)
    console.print(f"every setting, with its origin: afterbert pretrain --recipe {safe(name)} --dry-run")
