"""`afterbert mine-phrases`: a list of phrases from the texts themselves."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import Overwrite, also_takes, reading

PLACE = 40


@also_takes(reading("kind", "documents", "text_key", "text_column", "language"))
def mine_phrases(
    texts: Annotated[list[str], typer.Argument(help="Files, folders, `hub:NAME`, or `-` for standard input.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write.")] = Path("phrases.tsv"),
    max_words: Annotated[int, typer.Option(help="Words of the longest phrase, marks within counted.")] = 4,
    min_count: Annotated[int, typer.Option(help="A phrase occurs at least so often.")] = 5,
    min_cohesion: Annotated[float, typer.Option(help="Bits of mutual information between its parts.")] = 5.0,
    min_freedom: Annotated[float, typer.Option(help="Bits of entropy of its neighbours.")] = 1.5,
    most: Annotated[int, typer.Option(help="How many phrases to keep, the best first.")] = 100_000,
    case: Annotated[str, typer.Option(help="ignored or kept.")] = "ignored",
    chinese: Annotated[
        str | None, typer.Option(help="Words of Chinese: jieba (where installed) or characters.")
    ] = None,
    sample_bytes: Annotated[int, typer.Option(help="Look at so much text; bounds the memory.")] = 50_000_000,
    overwrite: Overwrite = False,
    **how_read: Any,
) -> None:
    """Find the runs of words that belong together, in any language, and write them as a list for `prepare`.

    A phrase's parts stand together far more often than chance has it (cohesion), in many different
    surroundings (freedom). These are collocations (`no doubt`, `New York`), not noun phrases.

    Example: `afterbert mine-phrases my_texts/ --out phrases.tsv`, then
    `afterbert prepare my_texts/ --phrases phrases.tsv`
    """
    from afterbert.api.terminal import console, safe
    from afterbert.base.config import build
    from afterbert.base.destination import check_file
    from afterbert.base.errors import UserError
    from afterbert.base.runs import write_atomically
    from afterbert.base.tree import Node
    from afterbert.text.from_paths import sources_for
    from afterbert.text.mining import HEADER, Mining, as_table
    from afterbert.text.reading import read

    if not out.parent.is_dir():
        raise UserError(f"{out.parent} is no folder, so {out.name} cannot be written there; make it first")
    check_file(out, mark=HEADER, overwrite=overwrite)
    settings = {
        "max_words": max_words,
        "min_count": min_count,
        "min_cohesion": min_cohesion,
        "min_freedom": min_freedom,
        "most": most,
        "case": case,
        "chinese": chinese,
        "sample_bytes": sample_bytes,
    }
    tree = {key: Node(value, f"--{key.replace('_', '-')}") for key, value in settings.items()}
    mining = build(Mining, Node(tree, "options"))
    found = mining(read(sources_for(texts, **how_read)))
    write_atomically(out, as_table(found))
    first = ", ".join(one.text for one in found[:12])
    console.print(f"{out}: {len(found):,} phrases; the first: {safe(first)}")
