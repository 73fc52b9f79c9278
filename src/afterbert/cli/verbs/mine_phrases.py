"""`afterbert mine-phrases`: a list of phrases from the texts themselves."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import OF_FILES, Overwrite, also_takes, option, reading

PLACE = 40

# By the names of `Mining`.
_MINING = {
    "max_words": option(int, "The most words of a phrase; a mark inside counts as one.", default=4),
    "min_count": option(int, "The fewest occurrences of a phrase.", default=5),
    "min_cohesion": option(float, "The least mutual information between its parts, in bits.", default=5.0),
    "min_freedom": option(float, "The least entropy of its neighbours, in bits.", default=1.5),
    "most": option(int, "How many phrases to keep, the best first.", default=100_000),
    "case": option(str, "Case of letters: ignored or kept.", default="ignored"),
    "chinese": option(str | None, "How Chinese words are found: jieba (if installed) or characters."),
    "sample_bytes": option(int, "How many bytes of text to look at; this bounds the memory.", default=50_000_000),
}


@also_takes(_MINING | reading(*OF_FILES, "language"))
def mine_phrases(
    texts: Annotated[list[str], typer.Argument(help="Files, folders, `hub:NAME`, or `-` for standard input.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write.")] = Path("phrases.tsv"),
    overwrite: Overwrite = False,
    **given: Any,
) -> None:
    """Find the runs of words that belong together, in any language, and write them as a list for `prepare`.

    The parts of a phrase stand together far more often than by chance (cohesion), and in many different
    surroundings (freedom). These are collocations (`no doubt`, `New York`), not noun phrases.

    Example: `afterbert mine-phrases my_texts/ --out phrases.tsv`, then
    `afterbert prepare my_texts/ --phrases phrases.tsv`
    """
    from afterbert.api.terminal import console, safe
    from afterbert.base.destination import check_file
    from afterbert.base.errors import UserError
    from afterbert.base.runs import write_atomically
    from afterbert.cli.preparing import built, text_options
    from afterbert.text.mining import HEADER, Mining, as_table
    from afterbert.text.reading import read

    if not out.parent.is_dir():
        raise UserError(f"{out.parent} is no folder, so {out.name} cannot be written there; make it first")
    check_file(out, mark=HEADER, overwrite=overwrite)
    mining = built(Mining, {name: given.pop(name) for name in _MINING})
    reads = text_options(given, ())
    found = mining(read(reads.sources(texts), reads.policy))
    write_atomically(out, as_table(found))
    first = ", ".join(one.text for one in found[:12])
    console.print(f"{out}: {len(found):,} phrases; the first: {safe(first)}")
