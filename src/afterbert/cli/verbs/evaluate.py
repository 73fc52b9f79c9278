"""`afterbert evaluate`: how well a model fills in held-out text."""

from typing import Annotated, Any

import typer

from afterbert.cli.options import OF_FILES, also_takes, reading

PLACE = 340


@also_takes(reading(*OF_FILES, "language", "lang", "max_unknown"))
def evaluate(
    model: Annotated[str, typer.Argument(help="A run folder, a model folder, or a hub name.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders that the model has not seen, or a store that `prepare` made."),
    ] = None,
    rate: Annotated[float, typer.Option(help="The share of pieces that is masked.")] = 0.15,
    length: Annotated[int, typer.Option(help="The most pieces of a row.")] = 128,
    max_rows: Annotated[int, typer.Option(help="How many rows are asked about at most.")] = 512,
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    **how_read: Any,
) -> None:
    """Measure masked accuracy, loss and bits per byte on texts, beside what counting alone would guess.

    The masks are the same for every model with the same tokenizer. In a store, the held-out split is asked
    and the training split is counted for the baselines; for plain texts there are no baselines.

    Examples:

    `afterbert evaluate runs/laptop-tiny-1a2b3c4d held_out_texts/`

    `afterbert evaluate runs/many --lang en=english.txt --lang is=icelandic.txt`
    """
    import json

    from afterbert.api.terminal import console, tell_notes
    from afterbert.api.watch import Watch
    from afterbert.cli.figures import print_figures
    from afterbert.cli.preparing import text_options
    from afterbert.probes.masked_model import MaskedModel
    from afterbert.training.devices import default_device
    from afterbert.workflows.evaluation import evaluate_on_texts
    from afterbert.workflows.loading import load_model_or_checkpoint
    from afterbert.workflows.observer import NOBODY

    with Watch() as watch:
        done = evaluate_on_texts(
            MaskedModel.of(load_model_or_checkpoint(model), device=default_device()),
            texts or (),
            rate=rate,
            length=length,
            max_rows=max_rows,
            reading=text_options(how_read, ()),
            observer=NOBODY if json_ else watch,
        )
    if json_:
        print(json.dumps(done.summary, indent=1))
        return
    tell_notes(done.notes)
    print_figures(done.summary)
    for name, value in done.summary["measures"].items():
        if name.startswith("accuracy_"):
            kind = name.removeprefix("accuracy_")
            console.print(f"  {kind.replace('_', ' ')}: {value:.1%} of {done.summary['counts'][kind]:,.0f}")
