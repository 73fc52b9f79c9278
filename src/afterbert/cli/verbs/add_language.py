"""`afterbert add-language`: one more language for a model that is there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import also_takes, own_options, reading, split_arguments

PLACE = 35
TAKES_RECIPE_OPTIONS = True


@also_takes(reading("kind", "documents", "text_key"))
def add_language(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A run or model folder, or a hub name.")],
    texts: Annotated[list[str], typer.Argument(help="Files or folders in the new language.")],
    lang: Annotated[str, typer.Option(help="The code of the new language, such as is.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for stores, start and run.")] = Path("added"),
    replay: Annotated[
        list[str] | None, typer.Option(help="Text in the old languages, as often as there are: en=PATH, or a store.")
    ] = None,
    replay_share: Annotated[float, typer.Option(help="The share of the rows that is replayed.")] = 0.5,
    pieces: Annotated[int, typer.Option(min=1, help="New pieces, at most.")] = 1000,
    units: Annotated[str, typer.Option(help="New pieces are whole words, or pieces that words may share.")] = "pieces",
    warm_up: Annotated[int, typer.Option(min=0, help="Steps that train the new pieces alone, the body frozen.")] = 200,
    budget: Annotated[
        str, typer.Option("--budget", "-b", help="How long the whole model trains then: 10min, 500steps.")
    ] = "10min",
    recipe: Annotated[str, typer.Option("--recipe", "-r", help="The recipe that trains it.")] = "laptop",
    seed: Annotated[int, typer.Option(help="The seed of order and masks.")] = 0,
    held_out: Annotated[float, typer.Option(help="Share of each text on which won and lost are measured.")] = 0.1,
    **how_read: Any,
) -> int:
    """Teach a model one more language, and see what that costs the others.

    New pieces begin as the mean of their parts or as sums of known pieces in like company, whichever does better on
    held-out text; they learn alone first, then all of the model does, while text in the old languages is replayed. The
    same call goes on where it was stopped.

    Example: `afterbert add-language runs/many icelandic.txt --lang is --replay stores/many --budget 20min`
    """
    from typing import cast, get_args

    from afterbert.api.run import Run
    from afterbert.api.tables import drawn
    from afterbert.api.terminal import console
    from afterbert.api.watch import Watch
    from afterbert.base.errors import UserError, did_you_mean
    from afterbert.cli.figures import print_run
    from afterbert.report import write_report
    from afterbert.report.run_record import read_run
    from afterbert.report.summary import languages_in_words
    from afterbert.text.pieces.vocabulary_change import Units
    from afterbert.workflows.language_addition import AdditionRequest
    from afterbert.workflows.language_addition import add_language as added
    from afterbert.workflows.text_options import TextOptions

    if units not in get_args(Units):
        raise UserError(f"--units '{units}' is not known; {did_you_mean(units, list(get_args(Units)))}")
    plain, overrides = split_arguments([*texts, *context.args], own_options(context))
    with Watch() as watch:
        done = added(
            AdditionRequest(
                model,
                tuple(plain),
                lang,
                replay=tuple(replay or ()),
                replay_share=replay_share,
                pieces=pieces,
                units=cast(Units, units),
                warm_up=warm_up,
                recipe=recipe,
                overrides=(*overrides, ("training.budget", budget), ("training.seed", str(seed))),
                held_out=held_out,
                out=out,
                reading=TextOptions(**how_read),
            ),
            watch,
        )
    outcome = done.result.outcome
    if not done.after:
        console.print(f"stopped at step {outcome.step}, everything saved; go on by the same command")
        return outcome.exit_code
    write_report(done.result.run.path)
    print_run(Run(done.result.run.path, state=outcome.state, step=outcome.step, exit_code=outcome.exit_code))
    console.print(drawn(languages_in_words(read_run(done.result.run.path))))
    return 0
