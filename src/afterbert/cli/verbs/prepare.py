"""`afterbert prepare`: texts in, a token store out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import Documents, TextColumn, TextKey, given_options

PLACE = 20


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
            help="Trained: bpe (when not given), byte_level_bpe, unigram, wordpiece; or a folder or hub name to take."
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
    max_dropped_share: Annotated[
        float, typer.Option(help="Stop when more of the documents than this were dropped, empty ones apart.")
    ] = 0.1,
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
    import os

    from afterbert.api.terminal import console
    from afterbert.api.watch import Watch
    from afterbert.base.errors import UserError
    from afterbert.base.plugins import name_of
    from afterbert.cli.listed import planes_named, print_beginning, print_coverage
    from afterbert.cli.preparing import named
    from afterbert.text.files.policy import Policy
    from afterbert.text.from_paths import piece_recipe_of, sources_for
    from afterbert.text.token_store.joining import merge_shards
    from afterbert.text.token_store.prepare import add_plane as add_plane_to
    from afterbert.text.token_store.prepare import make_tokenizer
    from afterbert.text.token_store.shards import Shard, prepare_shard
    from afterbert.workflows.stores import prepared, tell_store, tokenizer_named

    if merge:
        given = set(given_options(context)) - {"texts", "out", "merge"}
        if given:
            raise UserError(f"--{min(given).replace('_', '-')} has no effect with --merge: the shards say it")
        with Watch() as watch, watch.working("merging") as advance:
            store = merge_shards([Path(folder) for folder in texts], out or Path("store"), progress=advance)
        tell_store(store, watch)
        return
    if sum((tokenizer_only, shard is not None, add_plane is not None)) > 1:
        raise UserError(
            "--tokenizer-only, --shard and --add-plane are three different steps; name one of them"
        )
    options = {"documents": documents, "text_key": text_key, "text_column": text_column, "language": language}
    sources = sources_for(texts, kind=kind, tokenizer=tokenizer, **options)
    lists = {"phrase": phrases, "entity": entities}
    processes = processes or os.cpu_count() or 1
    if add_plane is not None:
        folder = out or Path("store")
        for plane in planes_named(add_plane, lists, list_case, "--add-plane"):
            with Watch() as watch, watch.working("adding a plane") as advance:
                add_plane_to(folder, sources, plane, processes=processes, progress=advance)
            console.print(f"{folder} has the plane {name_of(plane)} now")
            print_coverage(folder, [plane])
        return
    of_pieces = piece_recipe_of(sources)
    recipe = of_pieces or tokenizer_named(tokenizer or "bpe", vocab_size)
    reading: dict[str, Any] = {
        "tokenizer": recipe,
        "policy": named(
            Policy,
            {"errors": errors, "normalization": normalization, "max_dropped_share": max_dropped_share},
            "--policy",
        ),
        "held_out": held_out,
        "processes": processes,
    }
    if tokenizer_only:
        folder = out or Path("tokenizer")
        with Watch() as watch, watch.working("preparing") as advance:
            make_tokenizer(sources, folder, progress=advance, **reading)
        console.print(f"tokenizer: {folder}")
        return
    wanted = planes_named(planes, lists, list_case, "--planes")
    if shard is not None:
        share = Shard.of(shard)
        folder = out or Path("shards", f"{share.number}-of-{share.total}")
        with Watch() as watch, watch.working("preparing") as advance:
            prepare_shard(sources, folder, share, planes=wanted, progress=advance, **reading)
        console.print(f"shard {share}: {folder}")
        return
    with Watch() as watch:
        prepared(sources, out or Path("store"), planes=wanted, observer=watch, **reading)
    print_coverage(out or Path("store"), wanted)
    if of_pieces is not None:
        print_beginning(sources)
