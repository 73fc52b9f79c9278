"""`afterbert align`: do two languages lie in the same place?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import Overwrite, also_takes, option

PLACE = 50

# By the names of `AlignmentRequest`.
_REQUEST = {
    "other": option(str | None, "Another model for the second language, of the same size.", "--with"),
    "words": option(
        str | None, "A file with word, tab, translation on each line; counted in the texts when not given."
    ),
    "languages": option(str | None, "The codes of both languages, as en,de, for a model with parts for each language."),
    "layer": option(int | None, "Only this layer; 0 for the embeddings.", min=0),
    "most": option(int, "How many pairs of texts are read.", default=1000, min=20, max=20_000),
    "length": option(int, "How many pieces of each text are read.", default=128, min=8),
}


@also_takes(_REQUEST)
def align(
    model: Annotated[str, typer.Argument(help="A run or model folder, or a hub name.")],
    texts: Annotated[
        list[str],
        typer.Argument(help="One file with text, tab, translation on each line; or two files that match line by line."),
    ],
    html: Annotated[Path | None, typer.Option("--html", help="Write the figures as a page to this HTML file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    overwrite: Overwrite = False,
    **given: Any,
) -> None:
    """Measure how well a model's states find translations, layer by layer: of sentences, words, and words in context.

    Beside each figure stands what random weights of the same model find. Two models that read one language each are
    compared after a rotation, which is learned on half of the pairs.

    Examples:

    `afterbert align runs/xlm-r-tiny-1a2b3c4d bible.en-de.tsv --html alignment.html`

    `afterbert align runs/ENGLISH texts.en texts.de --with runs/GERMAN --json`
    """
    import json
    from dataclasses import asdict

    from afterbert.api.terminal import console
    from afterbert.api.watch import Watch
    from afterbert.base.destination import PAGE_MARK, check_file
    from afterbert.base.errors import UserError
    from afterbert.report.alignment_report import alignment_page
    from afterbert.workflows.alignment import AlignmentRequest, aligned
    from afterbert.workflows.observer import NOBODY

    written = given["languages"]
    given["languages"] = tuple(written.split(",")) if written else None
    if written and len(given["languages"]) != 2:
        raise UserError(f"--languages {written}: write two codes, as en,de")
    if html is not None:
        check_file(html, mark=PAGE_MARK, overwrite=overwrite)
    request = AlignmentRequest(model, tuple(texts), **given)
    with Watch() as watch:
        found = aligned(request, NOBODY if json_ else watch)
        if json_:
            print(json.dumps(asdict(found), indent=1, ensure_ascii=False))
        else:
            watch.on_value(found)
            for note in found.notes:
                watch.on_line(note)
    if html is not None:
        page = alignment_page(found).write(html, overwrite=overwrite)
        if not json_:
            console.print(f"page: {page}")
