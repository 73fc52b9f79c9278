"""`afterbert demo`: the main job on text that is already there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import settings_only

TAKES_RECIPE_OPTIONS = True


def demo(
    context: typer.Context,
    budget: Annotated[str, typer.Option("--budget", "-b", help="How long to train.")] = "3.75min",
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the demo's run folder is made.")] = Path(
        "demo"
    ),
) -> int:
    """Train a small masked language model on the documentation that every Python carries.

    No network and no files of yours are needed: the text is the language reference and the docstrings of the
    standard library and of the installed packages. About six minutes on two cores.

    Example: `afterbert demo --budget 2min`
    """
    from dataclasses import replace

    from afterbert.base.budget import Budget
    from afterbert.cli.pipeline import PretrainRequest, resolve, store_for, train_and_report
    from afterbert.cli.terminal import console
    from afterbert.cli.tour import print_next_steps, print_samples
    from afterbert.text.sources.python_docs import PythonDocs
    from afterbert.workflows.run_folders import run_folder_for

    console.print(
        "[bold]afterbert demo[/bold]: a masked language model from the documentation this Python carries"
    )
    amount = Budget.parse(budget)
    rarely = replace(amount, amount=amount.amount / 4)  # evaluations cost training time
    overrides = [
        ("training.evaluate_every", str(rarely)),
        ("training.budget", budget),
        *settings_only(context),
    ]
    resolved = resolve("laptop", overrides=overrides)
    request = PretrainRequest(out=out, sources=(PythonDocs(),))
    store = store_for(request, resolved.recipe.tokenizer)
    run = run_folder_for(out, resolved, store)
    result = train_and_report(run, resolved, store)
    if result.evaluation is not None:
        print_samples(run)
        print_next_steps(run)
    return result.outcome.exit_code
