"""`afterbert show`: what a task does to a sentence, or what a model is made of."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Overwrite, Size, settings_only

PLACE = 210
TAKES_RECIPE_OPTIONS = True


def show(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="A sentence or two.")] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="A recipe's name, or a path to a YAML file.", rich_help_panel="Recipe")
    ] = "laptop",
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
    phrases: Annotated[
        str | None, typer.Option(help="A list of phrases, one on each line, for tasks that choose phrases.")
    ] = None,
    entities: Annotated[
        str | None, typer.Option(help="A list of entities, one on each line, for tasks that choose entities.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other masks.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Also write what is shown to this HTML file.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show what a pre-training task does to a text: what is read, what is asked, who sees whom.

    `--recipe all` shows every recipe. Colours tell what was masked, replaced, kept, inserted or
    moved. Every run's report holds the same pictures, of a sentence of its own text.

    Example: `afterbert show "The cat sat on the mat. It was not amused." --recipe spanbert`
    """
    from afterbert.api.terminal import console, recorded
    from afterbert.base.errors import UserError
    from afterbert.cli.listed import planes_named
    from afterbert.cli.showing import print_exhibits, print_model
    from afterbert.recipes.files import known
    from afterbert.recipes.question import question_of
    from afterbert.workflows.gallery import exhibits_on

    if text is not None and text.startswith("--"):
        # the parser takes the first setting it does not know for the text
        context.args.insert(0, text)
        text = None
    overrides = settings_only(context)
    names = known() if recipe == "all" else [recipe]
    if not text and not model:
        raise UserError('no text is given; write it in quotes: afterbert show "The cat sat on the mat."')
    if text and os.path.isfile(text):
        first = f'afterbert show "$(head -n 1 {shlex.quote(text)})"'
        raise UserError(f"{text} is a file, and what is shown is a sentence; write one in quotes, or: {first}")
    if model or not text:
        from afterbert.recipes.recipe import resolve

        resolved = [resolve(name, size=size, overrides=overrides) for name in names]
        with recorded(html, title="What models are made of", overwrite=overwrite):
            for one in resolved:
                print_model(one)
        return
    planes = planes_named("", {"phrase": phrases, "entity": entities}, None, "--planes")
    questions, exhibits = [question_of(name, size=size, overrides=overrides) for name in names], []
    for found in exhibits_on(text, questions, Path(tokenizer) if tokenizer else None, planes, seed=seed):
        print_exhibits(found)
        exhibits += found
    if html:
        from afterbert.report import write_gallery  # the pages' templates are not read for the terminal alone

        console.print(write_gallery(exhibits, text, html, overwrite=overwrite))
