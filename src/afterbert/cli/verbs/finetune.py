"""`afterbert finetune`: a model and labelled rows in, predictions and figures out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import MaxUnknown, also_takes, of_data, option, plugins_in

PLACE = 150
TAKES_RECIPE_OPTIONS = True

_DATA, _TRAINING, _MANY = "Data", "Training", "Many tasks"

# By the names that settings of fine-tuning have, but for those below.
_SETTINGS = {
    "budget": option(
        str | None, "How long to train, in place of --epochs: 5min, 500steps.", "--budget", "-b", panel=_TRAINING
    ),
    "learning_rate": option(
        str | None,
        "The highest learning rate, for models narrower than 768 a higher one; 5e-5 when not given.",
        "--learning-rate",
        "--lr",
        panel=_TRAINING,
    ),
    "batch_size": option(str | None, "Rows of a step; 32 when not given.", panel=_TRAINING),
    "length": option(str | None, "The most pieces of a row; 128 when not given.", panel=_TRAINING),
    "seeds": option(str | None, "How many runs, for mean and spread; 1 when not given.", panel=_TRAINING),
    "seed": option(str | None, "The seed of the first run; 0 when not given.", panel=_TRAINING),
    "frozen": option(bool, "Train only the heads.", "--frozen", default=False, panel=_TRAINING),
    "layer_decay": option(
        str | None,
        "A layer's learning rate as a share of that of the layer above; 1.0 when not given.",
        panel=_TRAINING,
    ),
    "class_weights": option(
        str | None, "Weights of the classes: none or balanced; none when not given.", panel=_TRAINING
    ),
    "head": option(
        str | None,
        f"The head: {plugins_in('downstream.heads')} (text writes the answer); the task's usual one when not given.",
        panel=_TRAINING,
    ),
    "summary": option(
        str | None,
        "What speaks for a row: its first piece, its last, or the mean of all; what is usual for the model when not "
        "given.",
        panel=_TRAINING,
    ),
    "head_start": option(
        str | None,
        "How a last layer starts: drawn, or probed, as a linear model of the states before fine-tuning; probed where "
        "the mean speaks when not given.",
        panel=_TRAINING,
    ),
    "keep": option(str | None, "Which weights to keep: last, or best on dev; last when not given.", panel=_TRAINING),
    "patience": option(str | None, "Stop after this many evaluations without a better one.", panel=_TRAINING),
    "mixing": option(
        str | None, f"How often each task comes: {plugins_in('base.mixing')}; proportional when not given.", panel=_MANY
    ),
}
_PATHS = {"learning_rate": "optimizer.learning_rate", "seeds": "num_seeds"}

# By the names of `FinetuneRequest`.
_REQUEST = of_data(panel=_DATA) | {
    "splits": option(
        list[str] | None, "Another file of rows, beside the task's own: test=FILE.", "--split", panel=_DATA
    ),
    "transfer": option(
        Path | None, "A folder of test sets in other languages, beside the task's own.", "--transfer", panel=_DATA
    ),
    "switch": option(
        list[str] | None,
        "A list of words and translations (mine-translations makes one): training rows stand there again with them.",
        "--switch",
        panel=_DATA,
    ),
    "switch_rate": option(
        float | None, "The share of the words in a --switch list that are replaced; 0.9 when not given.", panel=_DATA
    ),
    "drop_leaked": option(
        bool, "Leave out training rows that other splits hold.", "--drop-leaked", default=False, panel=_DATA
    ),
    "epochs": option(float | None, "Rounds through the training rows; 3 when not given.", panel=_TRAINING),
    "search": option(
        str | None,
        "First try learning rates for this long (10min, 2000steps), and take the best on held-out training rows.",
        "--search-learning-rate",
        panel=_TRAINING,
    ),
    "max_unknown": (MaxUnknown, 0.1),
    "from_scratch": option(
        bool, "Train the same model from random weights.", "--from-scratch", default=False, panel=_TRAINING
    ),
    "strategies": option(
        list[str] | None,
        f"What to train on together first; once for each: {plugins_in('downstream.strategies')}, or all.",
        "--strategy",
        panel=_MANY,
    ),
    "groups": option(
        list[str] | None, "Tasks that leave_one_out leaves out together: glue=sst2,stsb.", "--group", panel=_MANY
    ),
    "unlabelled": option(
        list[str] | None, "Running text that is trained on as one of the tasks.", "--unlabelled", panel=_MANY
    ),
    "unlabelled_recipe": option(
        str | None,
        "The recipe that says what is asked of --unlabelled text; chosen by the model when not given.",
        panel=_MANY,
    ),
    "recipe": option(str | None, "Settings of a paper: mt-dnn, t5, or a YAML file.", "--recipe", "-r", panel=_TRAINING),
    "out": option(Path | None, "The folder to write; below runs/ when not given.", "--out", "-o"),
    "overwrite": option(bool, "Also replace what afterbert did not make.", "--overwrite", default=False),
}


@also_takes(_REQUEST | _SETTINGS)
def finetune(
    context: typer.Context,
    model: Annotated[str, typer.Option("--model", "-m", help="A run or model folder, or a hub name.")],
    task: Annotated[
        list[str], typer.Option("--task", "-t", help="NAME:PATH, PATH, a task file or hub:NAME; once for each task.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what was found in the data and what would be done, and stop.")
    ] = False,
    **given: Any,
) -> int:
    """Fine-tune a model on a task, or on several at once, and score it beside what guessing is worth.

    Kind, format and columns of a task are guessed, and the guess is printed; a task file corrects a wrong guess.
    Called again, it reads finished seeds and goes on with a stopped one. Any further setting is written
    `--node.key VALUE` (`--optimizer.weight_decay 0.1`, `--mixing.limit 1000`, and where there is no node
    `--finetuning.max_grad_norm 0.5`); `--dry-run` shows them all.

    Examples:

    `afterbert finetune --model runs/laptop-tiny-1a2b3c4d --task sst2:data/sst2 --seeds 3`

    `afterbert finetune -m MODEL -t cola:data/cola -t stsb:data/stsb --mixing temperature --epochs 5`

    `afterbert finetune -m MODEL -t sst2:data/sst2 -t qnli:data/qnli --recipe mt-dnn --strategy supervised`

    `afterbert finetune -m MODEL -t reading:data/squad2_part --transfer data/xquad`

    `afterbert finetune -m MODEL -t tags:data/ud_pos --switch words.en-de.tsv --switch words.en-is.tsv`

    `afterbert finetune -m MODEL -t reviews:reviews.csv --columns text=review,label=3 --from-scratch`
    """
    import yaml

    from afterbert.api.finetuning import carry_out
    from afterbert.api.terminal import console, safe
    from afterbert.api.watch import Watch
    from afterbert.base.config import to_plain
    from afterbert.base.visible import visible
    from afterbert.cli.options import settings_only
    from afterbert.workflows.finetune_request import FinetuneRequest, set_up

    said = {_PATHS.get(name, name): given.pop(name) for name in _SETTINGS}
    overrides = [(path, "true" if value is True else value) for path, value in said.items() if value]
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    request = FinetuneRequest(
        model=model,
        tasks=tuple(task),
        overrides=(*overrides, *settings_only(context)),
        **{name: value for name, value in fields.items() if value is not None},
    )
    if dry_run:
        with Watch() as watch:
            plain = to_plain(set_up(request, watch).bench.settings)
        print(visible(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)), end="")
        return 0
    done = carry_out(request)
    if done.exit_code:
        where = "in the search" if done.step is None else f"at step {done.step}"
        console.print(f"stopped {where}, everything saved; the same command goes on")
        return done.exit_code
    if done.model is not None:
        every = f" (and {len(done.models) - 1} more seeds beside it)" if len(done.models) > 1 else ""
        console.print(f"model:       {safe(str(done.model))}{every}")
        console.print(f"predictions: {safe(str(done.model.parent / 'predictions'))}")
    for name, models in done.compared.items():
        every = f" (and {len(models) - 1} more below {name}/)" if len(models) > 1 else ""
        console.print(safe(f"model of {name}: {models[0]}{every}"))
    console.print(f"figures:     {safe(str(done.figures))}")
    console.print(f"report:      {safe(str(done.report))}")
    return 0
