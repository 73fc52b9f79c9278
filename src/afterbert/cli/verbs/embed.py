"""`afterbert embed`: texts in, a vector for each out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import OF_FILES, Overwrite, also_takes, reading

PLACE = 140


@also_takes(reading(*OF_FILES))
def embed(
    model: Annotated[str, typer.Argument(help="A run or model folder, or a hub name.")],
    texts: Annotated[list[str], typer.Argument(help="Files or folders, or `-` for standard input.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")] = Path("vectors"),
    passages: Annotated[
        bool, typer.Option("--passages", help="Cut documents into passages, and make a vector of each.")
    ] = False,
    length: Annotated[int | None, typer.Option(min=8, help="How many pieces of each text are read.")] = None,
    overwrite: Overwrite = False,
    **how_read: Any,
) -> None:
    """Turn each document into a vector of length 1, so that the product of two vectors is their cosine.

    Writes `vectors.npy` (float32, one row for each text) and `passages.jsonl` (a line `[id, text]` for each row).

    Example: `afterbert embed runs/laptop-sentences-tiny-1a2b3c4d sentences.txt --documents line --out vectors`
    """
    from afterbert.api.terminal import console, tell_notes
    from afterbert.api.watch import Watch
    from afterbert.base.destination import folder_written
    from afterbert.cli.preparing import text_options
    from afterbert.probes.sentence_encoder import SentenceEncoder
    from afterbert.text.passages import Passages
    from afterbert.training.devices import default_device
    from afterbert.workflows.loading import load_any
    from afterbert.workflows.searching import embedded

    reads = text_options(how_read, ())
    sources = reads.sources(texts)
    loaded = load_any(model)
    tell_notes(loaded.notes)
    encoder = SentenceEncoder.of(loaded, device=default_device(), length=length)
    with Watch() as watch, folder_written(out, made_by="embed", overwrite=overwrite) as aside:
        cut = Passages() if passages else None
        count = embedded(sources, encoder, aside, cut=cut, policy=reads.policy, observer=watch)
    console.print(f"vectors: {out / 'vectors.npy'} ({count:,} texts, {encoder.width} wide)")
