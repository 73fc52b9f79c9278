"""`afterbert show`: what a task does to a sentence, or what a model is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import RecipeName, Size, settings_only

TAKES_RECIPE_OPTIONS = True


def show(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="A sentence or two.")] = None,
    recipe: RecipeName = "laptop",
    size: Size = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="A model, store or tokenizer folder; a small one is trained on the language reference if not given."
        ),
    ] = None,
    model: Annotated[
        bool, typer.Option("--model", help="Show the recipe's model instead: parts, parameters, FLOPs.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed draws other masks.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Also write what is shown to this HTML file.")] = None,
) -> None:
    """Show what a pre-training task does to a text: what is read, what is asked, who sees whom.

    `--recipe all` shows every recipe that comes along. Colours: what was masked, replaced, kept, inserted or
    moved.

    Example: `afterbert show "The cat sat on the mat. It was not amused." --recipe spanbert`
    """
    from afterbert.base.errors import UserError
    from afterbert.cli.exhibit import print_model, print_task, shown_store
    from afterbert.cli.terminal import recorded
    from afterbert.recipes import known, resolve

    if text is not None and text.startswith("--"):
        # the parser takes the first setting it does not know for the text
        context.args.insert(0, text)
        text = None
    overrides = settings_only(context)
    names = known() if recipe == "all" else [recipe]
    resolved = [resolve(name, size=size, overrides=overrides) for name in names]
    if not text and not model:
        raise UserError('no text is given; write it in quotes: afterbert show "The cat sat on the mat."')
    folder = Path(tokenizer) if tokenizer else None
    with recorded(html, title="What each task does to a text"):
        for one in resolved:
            if model or not text:
                print_model(one)
                continue
            with shown_store(text, one.recipe.tokenizer, folder) as store:
                print_task(one, store, seed=seed)
