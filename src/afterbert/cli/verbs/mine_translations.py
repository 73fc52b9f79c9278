"""`afterbert mine-translations`: a word list from texts that translate each other."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Overwrite

PLACE = 41


def mine_translations(
    texts: Annotated[
        list[str],
        typer.Argument(help="Translations, as CODE+CODE=FILE or CODE+CODE=FILE,FILE, in any layout prepare reads."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The list to write.")] = Path("words.tsv"),
    least: Annotated[int, typer.Option(min=1, help="How many pairs must hold both words.")] = 3,
    most: Annotated[int, typer.Option(min=1, help="How many translations a word has at most.")] = 8,
    overwrite: Overwrite = False,
) -> None:
    """Count which words translate each other, and write them as a list for `finetune --switch`, `prepare --switch` and
    `align --words`.

    A word of the second language stands with the word of the first that most likely brought it forth (IBM's Model 1),
    common words first. Chinese, Japanese, Thai and others that write no spaces need no segmenter.

    Example: `afterbert mine-translations en+de=bible.en-de.tsv en+de=films.en,films.de --out words.en-de.tsv`
    """
    from afterbert.api.terminal import console, safe
    from afterbert.api.watch import Watch
    from afterbert.base.destination import check_file
    from afterbert.base.errors import UserError
    from afterbert.base.runs import write_atomically
    from afterbert.text.word_pairs import HEADER
    from afterbert.workflows.translation_mining import mined_translations

    if not out.parent.is_dir():
        raise UserError(f"{out.parent} is no folder, so {out.name} cannot be written there; make it first")
    check_file(out, mark=HEADER, overwrite=overwrite)
    with Watch() as watch:
        found = mined_translations(texts, least=least, most=most, observer=watch).pairs
    write_atomically(
        out, HEADER + "".join(f"{one.word}\t{one.other}\t{one.share:.3f}\t{one.num_pairs}\n" for one in found)
    )
    first = ", ".join(f"{one.word} {one.other}" for one in found[:8])
    words = len({one.word for one in found})
    console.print(safe(f"{out}: {len(found):,} translations of {words:,} words; the first: {first}"))
