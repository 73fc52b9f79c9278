"""Options that several verbs share: a recipe, its size, dotted overrides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from afterbert.base.errors import UserError, did_you_mean

RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe", "-r", help="A recipe's name, or a path to a YAML file.", rich_help_panel="Recipe"
    ),
]
Size = Annotated[
    str | None, typer.Option("--size", "-s", help="tiny, mini, small or base.", rich_help_panel="Recipe")
]


def dotted(extra: Sequence[str], options: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Recipe settings from what the command line left over: `--model.num_hidden_layers 4` or `--seed=3`.

    `options` are the verb's own options, for the hint at a mistyped one. Raises UserError at anything else.

    >>> dotted(["--training.batch_size", "8", "--length=64"])
    [('training.batch_size', '8'), ('length', '64')]
    """
    found = []
    rest = list(extra)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise UserError(f"'{word}' is not expected here; settings are written --node.key VALUE")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if "." not in key and key not in ("length", "title", "size"):
                near = did_you_mean(f"--{key}", list(options)) if options else "--help lists the options"
                raise UserError(
                    f"there is no option --{key}; {near} (recipe settings are written --node.key VALUE)"
                )
            if not rest or rest[0].startswith("--"):
                raise UserError(f"--{key} needs a value; write --{key} VALUE")
            value = rest.pop(0)
        found.append((key, value))
    return found
