"""`afterbert add-language`: one more language for a model that is there."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from afterbert.cli.options import OF_FILES, also_takes, option, own_options, reading, split_arguments

PLACE = 35
TAKES_RECIPE_OPTIONS = True

# By the names of `AdditionRequest`.
_REQUEST = {
    "out": option(Path, "The folder for stores, start and run.", "--out", "-o", default=Path("added")),
    "replay": option(list[str] | None, "Text in the old languages: en=PATH, once for each, or a store."),
    "replay_share": option(float, "The share of the rows that is replayed.", default=0.8),
    "pieces": option(int, "How many new pieces at most.", default=1000, min=1),
    "units": option(
        Literal["words", "pieces"],
        "What a new piece is: a whole word, or a piece that words may share.",
        default="pieces",
    ),
    "warm_up": option(int, "For how many steps only the new pieces are trained.", default=200, min=0),
    "recipe": option(str, "The recipe that trains it.", "--recipe", "-r", default="laptop"),
    "held_out": option(float, "The share of each text that is held out to measure what was won and lost.", default=0.1),
}


@also_takes(_REQUEST | reading(*OF_FILES))
def add_language(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A run or model folder, or a hub name.")],
    texts: Annotated[list[str], typer.Argument(help="Files or folders in the new language.")],
    lang: Annotated[str, typer.Option(help="The code of the new language, such as is.")],
    budget: Annotated[
        str, typer.Option("--budget", "-b", help="How long the whole model trains afterwards: 10min, 500steps.")
    ] = "10min",
    seed: Annotated[int, typer.Option(help="The seed of order and masks.")] = 0,
    **given: Any,
) -> int:
    """Teach a model one more language, and see what that costs the others.

    New pieces begin as the mean of their parts, or as sums of known pieces with similar neighbours, whichever does
    better on held-out text. First they learn alone, then the whole model does, while text in the old languages is
    replayed. A command that was stopped goes on when it is given again.

    Example: `afterbert add-language runs/many icelandic.txt --lang is --replay stores/many --budget 20min`
    """
    from afterbert.api.run import Run
    from afterbert.api.tables import drawn
    from afterbert.api.terminal import console
    from afterbert.api.watch import Watch
    from afterbert.cli.figures import print_run
    from afterbert.cli.preparing import text_options
    from afterbert.report import write_report
    from afterbert.report.run_record import read_run
    from afterbert.report.summary import languages_in_words
    from afterbert.workflows.language_addition import AdditionRequest
    from afterbert.workflows.language_addition import add_language as added

    plain, overrides = split_arguments([*texts, *context.args], own_options(context))
    overrides += [("training.budget", budget), ("training.seed", str(seed))]
    given["replay"] = tuple(given["replay"] or ())
    asked = {name: given.pop(name) for name in _REQUEST}
    request = AdditionRequest(
        model, tuple(plain), lang, overrides=tuple(overrides), reading=text_options(given, ()), **asked
    )
    with Watch() as watch:
        done = added(request, watch)
    outcome = done.result.outcome
    if not done.after:
        console.print(f"stopped at step {outcome.step}, everything saved; go on by the same command")
        return outcome.exit_code
    write_report(done.result.run.path)
    print_run(Run(done.result.run.path, state=outcome.state, step=outcome.step, exit_code=outcome.exit_code))
    console.print(drawn(languages_in_words(read_run(done.result.run.path))))
    return 0
