"""`afterbert race`: which recipe learns most from your text in the same time."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import Size, also_takes, option, own_options, share_of, split_arguments

PLACE = 240
TAKES_RECIPE_OPTIONS = True

# By the names of `RaceRequest`.
_REQUEST = {
    "by_loss": option(bool, "Compare held-out losses, for recipes that ask the same.", "--by-loss", default=False),
    "seeds": option(int, "How many runs of each recipe.", default=3, min=1),
    "size": (Size, None),
    "out": option(Path, "The folder in which runs are made and found.", "--out", "-o", default=Path("runs")),
}


@also_takes(_REQUEST)
def race(
    context: typer.Context,
    texts: Annotated[list[str], typer.Argument(help="Files, folders, or a store that `prepare` made.")],
    recipes: Annotated[
        str,
        typer.Option(
            "--recipes", "-r", help="Names or YAML files with commas between; the others are compared with the first."
        ),
    ],
    span: Annotated[
        str, typer.Option("--for", help="How long each run trains: 10min on this machine, 20Mtokens, 500steps.")
    ] = "10min",
    to: Annotated[
        str | None, typer.Option(help="A goal to time: 35% of masked pieces named, or a loss such as 3.5.")
    ] = None,
    **given: Any,
) -> int:
    """Race recipes against each other on your text: equal time on this machine, several seeds, intervals.

    The time of a step is measured at the start, all recipes in turn; from then on only steps count, so a race may be
    stopped, and the same command goes on. With --to, a goal is timed; each run's schedule still covers all of --for.

    Examples:

    `afterbert race my_texts/ --recipes laptop,mine.yaml --for 10min`

    `afterbert race my_texts/ --recipes laptop,mine.yaml --to 35% --seeds 5 --training.batch_size 32`
    """
    from afterbert.api.tables import drawn
    from afterbert.api.terminal import console
    from afterbert.api.watch import Watch
    from afterbert.base.budget import Budget
    from afterbert.study.race import RaceRequest, run_race
    from afterbert.training.process_setup import set_up_process

    goal = None if to is None else share_of(to, "--to", "35%, or a loss such as 3.5")
    given["by_loss"] |= to is not None and not to.strip().endswith("%")
    plain, overrides = split_arguments([*texts, *context.args], own_options(context))
    request = RaceRequest(
        texts=tuple(plain),
        recipes=tuple(name.strip() for name in recipes.split(",") if name.strip()),
        budget=Budget.parse(span),
        to=goal,
        overrides=tuple(overrides),
        **given,
    )
    set_up_process()
    with Watch() as watch:
        result = run_race(request, observer=watch)
    if result.racers is None:
        console.print("stopped, everything saved; the same command goes on")
        return result.exit_code
    console.print(drawn(result))
    print(f"figures: {result.folder / 'race.json'}")
    return 0
