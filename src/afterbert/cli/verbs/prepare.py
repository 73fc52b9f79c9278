"""`afterbert prepare`: texts in, a token store out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import also_takes, given_options, own_options, reading, split_arguments

PLACE = 20
TAKES_RECIPE_OPTIONS = True


@also_takes(reading())
def prepare(
    context: typer.Context,
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, `hub:NAME`, or `-` for standard input; with --merge, folders of shards."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to write to: store, shards/3-of-8 or tokenizer when not given."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", "-r", help="Make the tokenizer and the annotations that this recipe asks for (T5: sentinels)."
        ),
    ] = None,
    planes: Annotated[
        str, typer.Option(help="Annotations to find, separated by commas.")
    ] = "word_start,sentence_start,document_start",
    add_plane: Annotated[
        str | None,
        typer.Option("--add-plane", help="Add this annotation to a finished store that was made from the same texts."),
    ] = None,
    tokenizer_only: Annotated[
        bool, typer.Option("--tokenizer-only", help="Make only the tokenizer, for shards to be prepared later.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(help="Prepare only this part of the texts on this machine, such as 3/8 (1/8 to 8/8).")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Join the shards in these folders into one store.")] = False,
    phrases: Annotated[
        str | None, typer.Option(help="A list of phrases, one on each line; a second column may hold types.")
    ] = None,
    entities: Annotated[
        str | None, typer.Option(help="A list of entities, one on each line; a second column may hold types.")
    ] = None,
    list_case: Annotated[
        str | None,
        typer.Option(
            help="Case in these lists: ignored or kept. When not given: ignored for phrases, kept for entities."
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a store there that was made of other texts or with other settings."),
    ] = False,
    **how_read: Any,
) -> None:
    """Turn texts into a token store (pieces and annotations) that any number of runs can read.

    An interrupted command goes on where it was when it is given again. A table at the end says what was read, kept and
    dropped.

    Phrases and entities are found by lists (`--phrases`, `--entities`), in a new store or, with
    `--add-plane phrase`, in a finished one. `afterbert mine-phrases` makes a list from the texts themselves.

    On many machines: `--tokenizer-only` on one, `--shard 1/8 --tokenizer tokenizer` and so on on each of them,
    `--merge` on one again. The store is the same, byte for byte (docs/cluster.md).

    A recipe may ask for its own tokenizer: T5's has sentinels, ALBERT's is lower-case. `--recipe t5` makes it.
    `afterbert pretrain` on texts does so by itself.

    Examples:

    `afterbert prepare my_texts/ --out store --tokenizer unigram --vocab-size 16000`

    `afterbert prepare --lang en=english/ --lang is=icelandic.txt --smoothing 0.7`
    """
    from afterbert.api.terminal import console
    from afterbert.api.watch import Watch
    from afterbert.base.errors import UserError
    from afterbert.base.plugins import name_of
    from afterbert.cli.listed import planes_named, print_beginning, print_coverage
    from afterbert.cli.preparing import divided, text_options
    from afterbert.text.from_paths import piece_recipe_of
    from afterbert.text.token_store.joining import merge_shards
    from afterbert.text.token_store.prepare import add_plane as add_plane_to
    from afterbert.text.token_store.prepare import make_tokenizer
    from afterbert.text.token_store.shards import Shard, prepare_shard
    from afterbert.workflows.stores import prepared, tell_store
    from afterbert.workflows.tokenizer_choice import asked_by_recipe, tokenizer_named, tokenizer_settings

    texts, settings = split_arguments([*(texts or ()), *context.args], own_options(context))
    if merge:
        heeded = {"texts", "out", "merge", "overwrite", "max_unknown"}
        given = [*(set(given_options(context)) - heeded), *(key for key, _ in settings)]
        if given:
            raise UserError(f"--{min(given).replace('_', '-')} has no effect with --merge: the shards say it")
        with Watch() as watch, watch.working("merging") as advance:
            store = merge_shards(
                [Path(folder) for folder in texts],
                out or Path("store"),
                max_unknown=how_read["max_unknown"],
                overwrite=overwrite,
                progress=advance,
            )
        tell_store(store, watch, advises=False)
        return
    if sum((tokenizer_only, shard is not None, add_plane is not None)) > 1:
        raise UserError("--tokenizer-only, --shard and --add-plane are three different steps; name one of them")
    of_tokenizer, of_policy, of_source, strange = divided(settings, "tokenizer", "policy", "source")
    if strange:
        raise UserError(
            f"--{strange[0][0]} is no setting of a store; those of the tokenizer are written --tokenizer.KEY, of the "
            "policy --policy.KEY, of how files are read --source.KEY"
        )
    options, tokenizer, vocab_size = (
        text_options(how_read, [*of_policy, *of_source]),
        how_read["tokenizer"],
        how_read["vocab_size"],
    )
    sources = options.sources(texts, tokenizer=tokenizer)
    lists = {"phrase": phrases, "entity": entities}
    how = options.of_prepare()
    if add_plane is not None:
        folder = out or Path("store")
        for plane in planes_named(add_plane, lists, list_case, "--add-plane"):
            with Watch() as watch, watch.working("adding a plane") as advance:
                add_plane_to(folder, sources, plane, processes=how["processes"], progress=advance)
            console.print(f"{folder} has the plane {name_of(plane)} now")
            print_coverage(folder, [plane])
        return
    of_pieces = piece_recipe_of(sources)
    if recipe is not None:
        asked, needed = asked_by_recipe(recipe, tokenizer_settings(tokenizer, vocab_size, of_tokenizer))
        planes = ",".join([planes, *needed])
    else:
        asked = tokenizer_named(tokenizer, vocab_size, of_tokenizer)
    how["tokenizer"] = of_pieces or asked
    if tokenizer_only:
        folder = out or Path("tokenizer")
        how.pop("max_unknown")
        with Watch() as watch, watch.working("preparing") as advance:
            make_tokenizer(sources, folder, progress=advance, **how)
        console.print(f"tokenizer: {folder}")
        return
    wanted = planes_named(planes, lists, list_case, "--planes")
    if shard is not None:
        share = Shard.of(shard)
        if how.pop("smoothing") is not None:
            raise UserError("--smoothing goes with --tokenizer-only; of shards, say --mixing exponent to pretrain")
        folder = out or Path("shards", f"{share.number}-of-{share.total}")
        how.pop("max_unknown")
        with Watch() as watch, watch.working("preparing") as advance:
            prepare_shard(sources, folder, share, planes=wanted, progress=advance, **how)
        console.print(f"shard {share}: {folder}")
        return
    with Watch() as watch:
        prepared(
            sources,
            out or Path("store"),
            tokenizer=how["tokenizer"],
            reading=options,
            observer=watch,
            planes=wanted,
            overwrite=overwrite,
        )
    print_coverage(out or Path("store"), wanted)
    if of_pieces is not None:
        print_beginning(sources)
