"""`afterbert fill`: what a model puts in place of a mask."""

from typing import Annotated

import typer

from afterbert.cli.options import ModelOrNewest, model_or_newest

PLACE = 110


def fill(
    text: Annotated[str, typer.Argument(help="A text with [MASK] where a word is missing.")],
    model: ModelOrNewest = None,
    top: Annotated[int, typer.Option(min=1, max=100, help="How many guesses.")] = 5,
) -> None:
    """Fill in the masks of a text.

    Example: `afterbert fill "The [MASK] of the function is a list." --model runs/laptop-tiny-1a2b3c4d`
    """
    from afterbert.api.terminal import console, safe, table, tell_notes
    from afterbert.probes.masked_model import MaskedModel
    from afterbert.text.pieces.unknown import UnknownPieces
    from afterbert.training.devices import default_device
    from afterbert.workflows.loading import load_model_or_checkpoint

    loaded = MaskedModel.of(load_model_or_checkpoint(model_or_newest(model)), device=default_device())
    unknown = UnknownPieces.in_texts([loaded.unmasked(text)], loaded.tokenizer).check(1.0, whose="this text")
    tell_notes(filter(None, (*loaded.loaded.notes, loaded.language_model.note, *unknown)))
    for number, guesses in enumerate(loaded.fill(text, top=top), start=1):
        made = table(title=f"mask {number}", show_header=False)
        for piece, chance in guesses:
            made.add_row(safe(piece), f"{chance:6.1%}", "█" * round(30 * chance))
        console.print(made)
