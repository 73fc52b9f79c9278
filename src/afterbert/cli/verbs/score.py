"""`afterbert score`: a fine-tuned model on other rows, any language model on minimal pairs."""

from __future__ import annotations

from typing import Annotated

import typer


def score(
    model: Annotated[str, typer.Argument(help="A folder that `finetune` made; for --pairs any model.")],
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Rows of a task: NAME:PATH, PATH or a task file.")
    ] = None,
    pairs: Annotated[
        str | None, typer.Option("--pairs", help="Sentence pairs in BLiMP's jsonl layout: a file or folder.")
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", help="Which of the model's tasks, where it answers several.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="The kind of task, where the guess is wrong.")] = None,
    columns: Annotated[str | None, typer.Option(help="text=review,label=3")] = None,
    max_pairs: Annotated[int | None, typer.Option(min=1, help="Only the first so many of a file.")] = None,
) -> None:
    """Score a model on a task's rows, or on minimal pairs without any fine-tuning.

    Examples:

    `afterbert score runs/finetune-sst2-1a2b3c4d/seed-0 --task later_reviews.tsv`

    `afterbert score runs/laptop-tiny-1a2b3c4d --pairs data/blimp`
    """
    from afterbert.base.errors import UserError
    from afterbert.cli.tasking import score_pairs, score_task

    if (task is None) == (pairs is None):
        raise UserError("say what to score: either --task PATH or --pairs FILE")
    if task is not None:
        score_task(model, task, task=as_, kind=kind, columns=columns)
    elif pairs is not None:
        score_pairs(model, pairs, max_pairs=max_pairs)
