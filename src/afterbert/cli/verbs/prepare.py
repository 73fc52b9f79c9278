"""`afterbert prepare`: texts in, a token store out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Documents, TextColumn, TextKey, given_options


def prepare(
    context: typer.Context,
    texts: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, `hub:NAME`, or `-` for standard input; with --merge, folders of shards."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The folder to write to: store, shards/3-of-8 or tokenizer when not given.",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="wordpiece (when not given), byte_level_bpe or unigram to train one; a folder or hub name to take it."
        ),
    ] = None,
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
    tokenizer_only: Annotated[
        bool, typer.Option("--tokenizer-only", help="Only make the tokenizer, for shards to come.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Prepare only this share of the texts, such as 3/8 (from 1/8 to 8/8), on a machine of its own."
        ),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Put the shards in these folders together to one store.")
    ] = False,
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
        str | None,
        typer.Option(help="txt, jsonl, csv, tsv, parquet or datatrove, where file names do not tell."),
    ] = None,
    documents: Documents = None,
    text_key: TextKey = None,
    text_column: TextColumn = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Language code of texts that do not say theirs; by-name: files are called after it (de.txt)."
        ),
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

    On many machines: `--tokenizer-only` on one, `--shard 1/8 --tokenizer tokenizer` and so on on each of them,
    `--merge` on one again. The store is the same, byte for byte (docs/cluster.md).

    Example: `afterbert prepare my_texts/ --out store --tokenizer unigram --vocab-size 16000`
    """
    from afterbert.base.errors import UserError
    from afterbert.cli.listed import planes_named, print_beginning, print_coverage
    from afterbert.cli.preparing import (
        add_plane_with_bar,
        make_tokenizer_with_bar,
        merge_with_bar,
        named,
        prepare_shard_with_bar,
        prepare_with_bar,
        tokenizer_from,
    )
    from afterbert.text.files.policy import Policy
    from afterbert.text.from_paths import piece_recipe_of, sources_for
    from afterbert.text.token_store.shards import Shard

    if merge:
        given = set(given_options(context)) - {"texts", "out", "merge"}
        if given:
            raise UserError(f"--{min(given).replace('_', '-')} has no effect with --merge: the shards say it")
        merge_with_bar([Path(folder) for folder in texts], out or Path("store"))
        return
    if sum((tokenizer_only, shard is not None, add_plane is not None)) > 1:
        raise UserError(
            "--tokenizer-only, --shard and --add-plane are three different steps; name one of them"
        )
    options = {"documents": documents, "text_key": text_key, "text_column": text_column, "language": language}
    sources = sources_for(texts, kind=kind, tokenizer=tokenizer, **options)
    lists = {"phrase": phrases, "entity": entities}
    if add_plane is not None:
        for plane in planes_named(add_plane, lists, list_case, "--add-plane"):
            add_plane_with_bar(sources, out or Path("store"), plane, processes=processes)
            print_coverage(out or Path("store"), [plane])
        return
    of_pieces = piece_recipe_of(sources)
    recipe = of_pieces or tokenizer_from(tokenizer or "wordpiece", vocab_size)
    reading = {
        "tokenizer": recipe,
        "policy": named(Policy, {"errors": errors, "normalization": normalization}, "--policy"),
        "held_out": held_out,
        "processes": processes,
    }
    if tokenizer_only:
        make_tokenizer_with_bar(sources, out or Path("tokenizer"), **reading)
        return
    wanted = planes_named(planes, lists, list_case, "--planes")
    if shard is not None:
        share = Shard.of(shard)
        folder = out or Path("shards", f"{share.number}-of-{share.total}")
        prepare_shard_with_bar(sources, folder, share, planes=wanted, **reading)
        return
    prepare_with_bar(sources, out or Path("store"), planes=wanted, **reading)
    print_coverage(out or Path("store"), wanted)
    if of_pieces is not None:
        print_beginning(sources)
