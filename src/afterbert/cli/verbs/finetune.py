"""`afterbert finetune`: a model and labelled rows in, predictions and figures out."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import FORMATS, HEADER, KINDS, RECORDS, MaxUnknown, Overwrite, plugins_in

PLACE = 150
TAKES_RECIPE_OPTIONS = True

_DATA, _TRAINING, _MANY = "Data", "Training", "Many tasks"


def finetune(
    context: typer.Context,
    model: Annotated[str, typer.Option("--model", "-m", help="A run or model folder, or a hub name.")],
    task: Annotated[
        list[str], typer.Option("--task", "-t", help="NAME:PATH, PATH, a task file or hub:NAME; once for each task.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; default: below runs/.")] = None,
    overwrite: Overwrite = False,
    kind: Annotated[str | None, typer.Option(help=KINDS, rich_help_panel=_DATA)] = None,
    format_: Annotated[str | None, typer.Option("--format", help=FORMATS, rich_help_panel=_DATA)] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Which column is what, by name or number: text=review,label=3.", rich_help_panel=_DATA),
    ] = None,
    header: Annotated[str | None, typer.Option(help=HEADER, rich_help_panel=_DATA)] = None,
    records: Annotated[str | None, typer.Option(help=RECORDS, rich_help_panel=_DATA)] = None,
    split: Annotated[
        list[str] | None,
        typer.Option("--split", help="test=FILE: a file beside the task's own.", rich_help_panel=_DATA),
    ] = None,
    transfer: Annotated[
        Path | None,
        typer.Option("--transfer", help="Test sets beside the task's own, in other languages.", rich_help_panel=_DATA),
    ] = None,
    drop_leaked: Annotated[
        bool,
        typer.Option("--drop-leaked", help="Leave out training rows that other splits hold.", rich_help_panel=_DATA),
    ] = False,
    epochs: Annotated[
        float | None, typer.Option(help="Rounds through the training rows; 3.", rich_help_panel=_TRAINING)
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", "-b", help="In place of --epochs: 5min, 500steps, ...", rich_help_panel=_TRAINING),
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option("--learning-rate", "--lr", help="The highest; 5e-5.", rich_help_panel=_TRAINING)
    ] = None,
    search_learning_rate: Annotated[
        str | None,
        typer.Option(
            "--search-learning-rate",
            help="Try rates for so long (10min, 2000steps) on held-out training rows, and take the best.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    batch_size: Annotated[str | None, typer.Option(help="Rows a step; 32.", rich_help_panel=_TRAINING)] = None,
    length: Annotated[str | None, typer.Option(help="Pieces a row at most; 128.", rich_help_panel=_TRAINING)] = None,
    seeds: Annotated[
        str | None, typer.Option(help="How many runs, for mean and spread; 1.", rich_help_panel=_TRAINING)
    ] = None,
    seed: Annotated[str | None, typer.Option(help="The first one's seed; 0.", rich_help_panel=_TRAINING)] = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Only the heads learn.", rich_help_panel=_TRAINING)] = False,
    layer_decay: Annotated[
        str | None,
        typer.Option(help="A layer's learning rate by that of the one above; 1.0.", rich_help_panel=_TRAINING),
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="none, or balanced; none.", rich_help_panel=_TRAINING)
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help=f"By default the task's usual one: {plugins_in('downstream.heads')}; text writes the answer.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Which weights: last, or best on dev; last.", rich_help_panel=_TRAINING)
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(help="Stop after this many evaluations without a better one.", rich_help_panel=_TRAINING),
    ] = None,
    max_unknown: MaxUnknown = 0.1,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="The same model from random weights.", rich_help_panel=_TRAINING)
    ] = False,
    mixing: Annotated[
        str | None, typer.Option(help=f"{plugins_in('base.mixing')}; proportional.", rich_help_panel=_MANY)
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", help=f"{plugins_in('downstream.strategies')}; or all; once for each.", rich_help_panel=_MANY
        ),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="glue=sst2,stsb: left out together.", rich_help_panel=_MANY)
    ] = None,
    unlabelled: Annotated[
        list[str] | None, typer.Option("--unlabelled", help="Running text as one of the tasks.", rich_help_panel=_MANY)
    ] = None,
    unlabelled_recipe: Annotated[
        str | None, typer.Option(help="What it asks; default: by the model.", rich_help_panel=_MANY)
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", "-r", help="mt-dnn, t5, or a YAML file.", rich_help_panel=_TRAINING)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what was found in the data and what would be done.")
    ] = False,
) -> int:
    """Fine-tune a model on a task, or on several at once, and score it beside what guessing is worth.

    Kind, format and columns of a task are guessed and said; a task file settles what a guess gets wrong.
    Called again, finished seeds are read and a stopped one goes on. Any further setting is written
    `--node.key VALUE` (`--optimizer.weight_decay 0.1`, `--mixing.limit 1000`, and where there is no node
    `--finetuning.max_grad_norm 0.5`); `--dry-run` shows them all.

    Examples:

    `afterbert finetune --model runs/laptop-tiny-1a2b3c4d --task sst2:data/sst2 --seeds 3`

    `afterbert finetune -m MODEL -t cola:data/cola -t stsb:data/stsb --mixing temperature --epochs 5`

    `afterbert finetune -m MODEL -t sst2:data/sst2 -t qnli:data/qnli --recipe mt-dnn --strategy supervised`

    `afterbert finetune -m MODEL -t reading:data/squad2_part --transfer data/xquad`

    `afterbert finetune -m MODEL -t reviews:reviews.csv --columns text=review,label=3 --from-scratch`
    """
    from afterbert.cli.finetuning import fine_tune
    from afterbert.cli.options import settings_only
    from afterbert.workflows.finetune_request import FinetuneRequest

    given = {
        "budget": budget,
        "optimizer.learning_rate": learning_rate,
        "batch_size": batch_size,
        "length": length,
        "num_seeds": seeds,
        "seed": seed,
        "frozen": "true" if frozen else None,
        "layer_decay": layer_decay,
        "class_weights": class_weights,
        "head": head,
        "keep": keep,
        "patience": patience,
        "mixing": mixing,
    }
    named = [(name, value) for name, value in given.items() if value is not None]
    request = FinetuneRequest(
        model=model,
        tasks=tuple(task),
        out=out,
        overwrite=overwrite,
        kind=kind,
        format=format_,
        columns=columns,
        header=header,
        records=records,
        splits=tuple(split or ()),
        transfer=transfer,
        drop_leaked=drop_leaked,
        epochs=epochs,
        recipe=recipe,
        strategies=tuple(strategy or ()),
        groups=tuple(group or ()),
        unlabelled=tuple(unlabelled or ()),
        unlabelled_recipe=unlabelled_recipe,
        from_scratch=from_scratch,
        overrides=(*named, *settings_only(context)),
        search=search_learning_rate,
        max_unknown=max_unknown,
    )
    return fine_tune(request, dry_run=dry_run)
