"""`afterbert search`: the passages of a collection that answer a question."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from afterbert.cli.options import OF_FILES, also_takes, reading

PLACE = 130


@also_takes(reading(*OF_FILES))
def search(
    model: Annotated[str, typer.Argument(help="A run or model folder, or a hub name.")],
    texts: Annotated[list[str], typer.Argument(help="Files or folders to search; the last word is the question.")],
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many passages.")] = 5,
    by: Annotated[
        Literal["meaning", "words", "both"],
        typer.Option(help="meaning (vectors), words (BM25), or both (their ranks added)."),
    ] = "meaning",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder in which the index is kept.")] = Path("runs"),
    length: Annotated[int | None, typer.Option(min=8, help="How many pieces of each passage are read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the passages as JSON lines.")] = False,
    **how_read: Any,
) -> None:
    """Find the passages of texts that are nearest to a question.

    The texts are cut into passages and turned into vectors once; this index is used again while texts and model are
    the same. Any encoder will do; models from sentence-transformers are used as their folder says.

    Example: `afterbert search runs/laptop-sentences-tiny-1a2b3c4d novels/ "a storm at sea"`
    """
    import json

    from afterbert.api.terminal import console, safe, tell_notes
    from afterbert.api.watch import Watch
    from afterbert.base.errors import UserError
    from afterbert.cli.preparing import text_options
    from afterbert.probes.sentence_encoder import SentenceEncoder
    from afterbert.training.devices import default_device
    from afterbert.workflows.loading import load_any
    from afterbert.workflows.searching import SearchIndex

    *places, question = texts
    if not places:
        raise UserError('name the texts and then the question: afterbert search MODEL TEXTS "a question"')
    reads = text_options(how_read, ())
    loaded = load_any(model)
    tell_notes(() if as_json else loaded.notes)
    encoder = SentenceEncoder.of(loaded, device=default_device(), length=length)
    with Watch() as watch:
        index = SearchIndex.of(
            reads.sources(places), encoder, root=out / "indexes", policy=reads.policy, observer=watch
        )
    hits = index.search(question, top=top, by=by)
    if not hits:
        console.print("no passage has a word of the question; try --by meaning")
    for number, hit in enumerate(hits, start=1):
        if as_json:
            print(json.dumps({"id": hit.passage.id, "score": hit.score, "text": hit.passage.text}, ensure_ascii=False))
        else:
            console.print(f"[bold]{number}.[/bold] {hit.score:.3f}  [dim]{safe(hit.passage.id)}[/dim]")
            console.print(safe(hit.passage.text) + "\n")
