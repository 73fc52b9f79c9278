"""`afterbert import-checkpoint`: a pickled checkpoint of others, once, as a folder without pickles."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Overwrite

PLACE = 440


def import_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help="The pickled file, such as pytorch_model.bin, with its config beside it.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Convert a pickled checkpoint to a folder with model.safetensors.

    A pickle can run code when it is read. This command reads it with PyTorch's loader that runs none; no other part of
    afterbert reads pickles.

    Example: `afterbert import-checkpoint downloads/old-bert/pytorch_model.bin old-bert`
    """
    from afterbert.api.terminal import console, tell_notes
    from afterbert.interop.checkpoint import convert_checkpoint
    from afterbert.interop.importing import import_folder

    convert_checkpoint(checkpoint, out, overwrite=overwrite)
    console.print(f"written: {out}")
    if (out / "config.json").is_file():
        tell_notes(import_folder(out).notes)
    console.print(f"go on from it: afterbert pretrain my_texts/ --from {out}", markup=False)
