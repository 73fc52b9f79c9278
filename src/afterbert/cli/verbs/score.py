"""`afterbert score`: a fine-tuned model on other rows; any language model on minimal pairs, cues and probes."""

from typing import Annotated, Any

import typer

from afterbert.cli.options import AnswersAs, MaxUnknown, also_takes, of_data, plugins_in, settings_only

PLACE = 350
TAKES_RECIPE_OPTIONS = True


@also_takes(of_data())
def score(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="A folder that `finetune` made; for --pairs, --cue and --probe any model.")
    ],
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Rows of a task: NAME:PATH, PATH or a task file.")
    ] = None,
    pairs: Annotated[
        str | None, typer.Option("--pairs", help="A file or folder of sentence pairs in BLiMP's jsonl layout.")
    ] = None,
    as_: AnswersAs = None,
    cue: Annotated[str | None, typer.Option(help=f"Ask by a cue: {plugins_in('downstream.cues')}.")] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Score the task by a linear classifier on the model's frozen states.")
    ] = False,
    max_unknown: MaxUnknown = 0.1,
    max_rows: Annotated[int | None, typer.Option(min=1, help="Ask only the first so many rows (--cue).")] = None,
    max_pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Ask at most so many pairs of a file, equally many of each kind (--pairs)."),
    ] = None,
    **data: Any,
) -> None:
    """Score a fine-tuned model on a task's rows; or any model without fine-tuning, by minimal pairs, a cue or a probe.

    Predictions of a fine-tuned model (also for rows without labels) and of a cue are saved below runs/.
    Settings of a cue or probe are written `--cue.KEY VALUE` and `--probe.KEY VALUE`.

    Examples:

    `afterbert score runs/finetune-sst2-1a2b3c4d/seed-0 --task later_reviews.tsv`

    `afterbert score runs/laptop-tiny-1a2b3c4d --pairs data/blimp`

    `afterbert score runs/gpt2-tiny-1a2b3c4d --task sst2:data/sst2 --cue candidates --cue.words "[bad, good]"`

    `afterbert score runs/laptop-tiny-1a2b3c4d --task sst2:data/sst2 --probe --probe.layer 1`
    """
    from afterbert.api.tables import drawn
    from afterbert.api.terminal import console, safe, table
    from afterbert.api.watch import Watch
    from afterbert.base.errors import UserError
    from afterbert.workflows import scoring

    settings = settings_only(context)
    if (task is None) == (pairs is None):
        raise UserError("say what to score: either --task PATH or --pairs FILE")
    if (cue is not None or probe) and (task is None or (cue is not None and probe)):
        raise UserError("--cue NAME and --probe are two ways to ask a --task; name the task and one of them")
    asked = "--pairs" if pairs else "--cue" if cue else "--probe" if probe else "a fine-tuned head"
    for option, value, where in (
        ("--as", as_, ("a fine-tuned head",)),
        ("--kind", data["kind"], ("a fine-tuned head", "--cue", "--probe")),
        ("--max-rows", max_rows, ("--cue",)),
        ("--max-pairs", max_pairs, ("--pairs",)),
    ):
        if value is not None and asked not in where:
            raise UserError(f"{option} has no effect where {asked} is asked; leave it out")
    if settings and cue is None and not probe:
        raise UserError(f"--{settings[0][0]} has no effect without --cue or --probe; leave it out")
    request = scoring.ScoreRequest(
        model=model,
        rows=str(task or pairs),
        task=as_,
        settings=tuple(settings),
        most=max_rows or max_pairs,
        max_unknown=max_unknown,
        **data,
    )
    with Watch() as watch:
        if pairs is not None:
            made = table("pairs of", ">count", ">right", ">the shorter one")
            for pair in scoring.score_pairs(request, watch):
                made.add_row(safe(pair.name), f"{pair.count:,}", f"{pair.right:.1%}", f"{pair.shorter:.1%}")
            console.print(made)
            return
        if probe:
            for figure in scoring.score_by_probe(request, watch):
                console.print(safe(str(figure)))
            return
        done = scoring.score_by_cue(request, cue, watch) if cue else scoring.score_by_head(request, watch)
    console.print(drawn(done.results) if done.results else "no row has a label, so nothing can be scored")
    console.print(f"predictions: {safe(str(done.folder / 'predictions'))}")
    console.print(f"figures:     {safe(str(done.folder / 'results.json'))}")
