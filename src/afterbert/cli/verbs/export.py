"""`afterbert export`: a checkpoint of a run as a folder that transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="A run folder, finished or not.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
) -> None:
    """Write the newest checkpoint of a run as a Hugging Face folder.

    A finished run already has one: `RUN/model`. This also serves a run that is still going or was stopped.

    Example: `afterbert export runs/laptop-tiny-1a2b3c4d my-model`
    """
    from afterbert.cli.terminal import console
    from afterbert.recipes.pretraining import export_newest

    family, step = export_newest(run, out)
    console.print(f"step {step}, family {family}: {out}")
    console.print(f'load it: AutoModelForMaskedLM.from_pretrained("{out}")', markup=False)
