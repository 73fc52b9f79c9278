"""`afterbert prepare`: texts in, a token store out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare(
    texts: Annotated[
        list[str], typer.Argument(help="Files, folders, `hub:NAME`, or `-` for standard input.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the store to.")] = Path(
        "store"
    ),
    tokenizer: Annotated[
        str,
        typer.Option(
            help="wordpiece, byte_level_bpe or unigram to train one; a folder or hub name to take it."
        ),
    ] = "wordpiece",
    vocab_size: Annotated[
        int | None, typer.Option(help="Pieces to learn; chosen by the amount of text when not given.")
    ] = None,
    planes: Annotated[
        str, typer.Option(help="Annotations to find, separated by commas.")
    ] = "word_start,sentence_start,document_start",
    add_plane: Annotated[
        str | None,
        typer.Option(
            "--add-plane", help="Add this annotation to the finished store, made from the same texts."
        ),
    ] = None,
    phrases: Annotated[
        str | None,
        typer.Option(help="A list for the plane phrase: one a line, or a table with types as second column."),
    ] = None,
    entities: Annotated[str | None, typer.Option(help="The same for the plane entity.")] = None,
    list_case: Annotated[
        str | None,
        typer.Option(help="Whether case counts in these lists: ignored (phrases) or kept (entities)."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="txt, jsonl, csv, tsv or parquet, where file names do not tell.")
    ] = None,
    documents: Annotated[
        str | None, typer.Option(help="In plain text a document is: paragraphs, line or file.")
    ] = None,
    text_key: Annotated[str | None, typer.Option(help="JSONL: the key that holds the text.")] = None,
    text_column: Annotated[
        str | None, typer.Option(help="CSV, TSV, Parquet: the column that holds the text.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language code of texts that do not say theirs.")
    ] = None,
    errors: Annotated[str, typer.Option(help="Broken text: fail, replace or skip-document.")] = "fail",
    normalization: Annotated[str, typer.Option(help="NFC, NFKC or none.")] = "NFC",
    held_out: Annotated[float, typer.Option(help="Share of documents kept for evaluation.")] = 0.02,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes; one a core when not given.")
    ] = None,
) -> None:
    """Turn texts into a token store: pieces and annotations, once, for any number of runs.

    Interrupted, it goes on where it was when started again. Ends with a table of what was read, kept and
    dropped.

    Phrases and entities are found by lists (`--phrases`, `--entities`), in a new store or, with
    `--add-plane phrase`, in a finished one. `afterbert mine-phrases` makes a list from the texts themselves.

    Example: `afterbert prepare my_texts/ --out store --tokenizer unigram --vocab-size 16000`
    """
    from afterbert.cli.listed import planes_named, print_coverage
    from afterbert.cli.pipeline import add_plane_with_bar, named, prepare_with_bar, tokenizer_from
    from afterbert.text.from_paths import sources_for
    from afterbert.text.policy import Policy

    options = {"documents": documents, "text_key": text_key, "text_column": text_column, "language": language}
    sources = sources_for(texts, kind=kind, **options)
    lists = {"phrase": phrases, "entity": entities}
    if add_plane is not None:
        for plane in planes_named(add_plane, lists, list_case, "--add-plane"):
            add_plane_with_bar(sources, out, plane, processes=processes)
            print_coverage(out, [plane])
        return
    wanted = planes_named(planes, lists, list_case, "--planes")
    prepare_with_bar(
        sources,
        out,
        tokenizer=tokenizer_from(tokenizer, vocab_size),
        planes=wanted,
        policy=named(Policy, {"errors": errors, "normalization": normalization}, "--policy"),
        held_out=held_out,
        processes=processes,
    )
    print_coverage(out, wanted)
