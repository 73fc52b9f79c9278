"""`afterbert adapt-vocabulary`: a model under a vocabulary that suits one's text."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from afterbert.cli.options import OF_FILES, Overwrite, also_takes, reading

PLACE = 420


@also_takes(reading(*OF_FILES))
def adapt_vocabulary(
    model: Annotated[str, typer.Argument(help="A model folder or hub name.")],
    texts: Annotated[list[str], typer.Argument(help="Files or folders with the text that the vocabulary is for.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("adapted"),
    how: Annotated[
        Literal["extend", "trim", "train"],
        typer.Option(help="extend: add frequent pieces; trim: keep only pieces the text uses; train: learn new ones."),
    ] = "extend",
    pieces: Annotated[int, typer.Option(min=1, help="extend: how many pieces to add at most.")] = 1000,
    units: Annotated[
        Literal["words", "pieces"], typer.Option(help="extend: whole words, or pieces that many words may share.")
    ] = "pieces",
    tokenizer: Annotated[
        str, typer.Option(help="train: the kind to learn: bpe, byte_level_bpe, unigram or wordpiece.")
    ] = "wordpiece",
    vocab_size: Annotated[
        int | None, typer.Option(help="train: how many pieces to learn; chosen by the amount of text when not given.")
    ] = None,
    warm_up: Annotated[
        int, typer.Option(min=0, help="For how many steps only the vectors of new pieces are trained.")
    ] = 0,
    overwrite: Overwrite = False,
    **how_read: Any,
) -> None:
    """Give a model another vocabulary: more pieces, fewer, or a tokenizer of its own.

    The vector of a new piece begins as the mean of those of the pieces that it replaces. A trimmed model gives the same
    numbers on the text as before, which is checked.

    Example: `afterbert adapt-vocabulary runs/laptop-tiny-1a2b3c4d/model my_texts/ --how extend --pieces 500`
    """
    from afterbert.api.terminal import console, tell_notes
    from afterbert.cli.preparing import text_options
    from afterbert.workflows.tokenizer_choice import tokenizer_named
    from afterbert.workflows.vocabulary_adaptation import adapt

    reads = text_options(how_read, ())
    done = adapt(
        model,
        reads.sources(texts),
        out,
        policy=reads.policy,
        how=how,
        pieces=pieces,
        units=units,
        recipe=tokenizer_named(tokenizer, vocab_size),
        warm_up_steps=warm_up,
        overwrite=overwrite,
    )
    tell_notes(done.notes)
    console.print(f"pieces in the vocabulary: {done.sizes[0]:,} before, {done.sizes[1]:,} now")
    where = f"in {done.kept_aside:,} texts it did not learn from" if done.kept_aside else "in this text"
    console.print(f"pieces a word {where}: {done.fertilities[0]:.3f} before, {done.fertilities[1]:.3f} now")
    if done.agreement is not None:
        console.print(
            f"same pieces on all of this text; at {done.agreement.num_pieces:,} of them the numbers differ by at most "
            f"{done.agreement.largest_difference:.1e}"
        )
    console.print(f"model: {out}")
