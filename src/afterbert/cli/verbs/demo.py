"""`afterbert demo`: the main job on text that is already there."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import settings_only

PLACE = 10
TAKES_RECIPE_OPTIONS = True


def demo(
    context: typer.Context,
    budget: Annotated[str, typer.Option("--budget", "-b", help="How long to train: 3000steps, 5min.")] = "3000steps",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder in which the demo's run folder is made.")] = Path(
        "demo"
    ),
) -> int:
    """Train a small masked language model on the documentation that comes with every Python.

    No network and no files of yours are needed: the text is the language reference and the docstrings of the
    standard library and of the installed packages. It takes five to eight minutes on two idle cores. Steps are
    counted, not minutes: a slower machine takes longer and learns as much.

    Example: `afterbert demo --budget 2min`
    """
    from dataclasses import replace

    from afterbert.api.pretraining import carry_out
    from afterbert.api.terminal import console
    from afterbert.base.budget import Budget
    from afterbert.cli.figures import print_run
    from afterbert.cli.tour import print_next_steps, print_samples
    from afterbert.recipes import resolve
    from afterbert.text.sources.python_docs import PythonDocs
    from afterbert.workflows.pretrain_request import PretrainRequest

    console.print("[bold]afterbert demo[/bold]: a masked language model from the documentation this Python carries")
    amount = Budget.parse(budget)
    rarely = replace(amount, amount=amount.amount / 4)  # evaluations cost training time
    overrides = [("training.evaluate_every", str(rarely)), ("training.budget", budget), *settings_only(context)]
    size = resolve("laptop").size  # said, so that it is the same model on every machine
    request = PretrainRequest(recipe="laptop", size=size, overrides=tuple(overrides), out=out, sources=(PythonDocs(),))
    run = carry_out(request)
    print_run(run)
    if run.is_finished:
        print_samples(run.folder)
        print_next_steps(run.folder)
    return run.exit_code
