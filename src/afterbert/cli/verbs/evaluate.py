"""`afterbert evaluate`: how well a model fills in held-out text."""

from __future__ import annotations

from typing import Annotated

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="A run folder, a model folder, or a hub name.")],
    texts: Annotated[
        list[str],
        typer.Argument(help="Files or folders the model has not seen; or a store that `prepare` made."),
    ],
    rate: Annotated[float, typer.Option(help="Share of pieces masked.")] = 0.15,
    length: Annotated[int, typer.Option(help="Pieces a row.")] = 128,
    max_rows: Annotated[int, typer.Option(help="Rows asked about.")] = 512,
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure masked accuracy, loss and bits per byte on texts, beside what counting alone would guess.

    The masks are the same for every model with the same tokenizer. Of a store, the held-out split is asked
    and the training split is counted for the baselines; of plain texts there are no baselines.

    Example: `afterbert evaluate runs/laptop-tiny-1a2b3c4d held_out_texts/`
    """
    from afterbert.cli.measuring import print_measures

    print_measures(model, texts, rate=rate, length=length, max_rows=max_rows, as_json=json_)
