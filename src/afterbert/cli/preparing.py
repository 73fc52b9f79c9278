"""Texts to stores as a person sees it: progress bars, closing tables, options that name a tokenizer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afterbert.base.config import build
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.plugins import name_of, names
from afterbert.base.tree import Node
from afterbert.cli.terminal import bar, console, safe
from afterbert.text.planes import Plane
from afterbert.text.sources import Source
from afterbert.text.token_store.joining import merge_shards
from afterbert.text.token_store.prepare import add_plane, make_tokenizer, prepare
from afterbert.text.token_store.shards import Shard, prepare_shard
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer


def prepare_with_bar(
    sources: Sequence[Source],
    out: Path,
    *,
    tokenizer: TokenizerRecipe,
    processes: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> Store:
    """`prepare` with a progress bar, then the closing table; nothing is printed when `quiet`."""
    processes = processes or os.cpu_count() or 1
    if quiet:
        return prepare(sources, out, tokenizer=tokenizer, processes=processes, **options)
    with bar(1.0, "preparing") as progress:

        def watch(done: float, total: float, phase: str) -> None:
            progress.to(done, phase, total=total)

        store = prepare(sources, out, tokenizer=tokenizer, processes=processes, progress=watch, **options)
    console.print(safe(store.tally.table()))
    console.print(f"tokens: {out}")
    return store


def make_tokenizer_with_bar(
    sources: Sequence[Source],
    out: Path,
    *,
    tokenizer: TokenizerRecipe,
    processes: int | None = None,
    **options: Any,
) -> None:
    """Only the tokenizer, with a progress bar."""
    with bar(1.0, "preparing") as progress:
        make_tokenizer(
            sources,
            out,
            tokenizer=tokenizer,
            processes=processes or os.cpu_count() or 1,
            progress=lambda done, total, phase: progress.to(done, phase, total=total),
            **options,
        )
    console.print(f"tokenizer: {out}")


def prepare_shard_with_bar(
    sources: Sequence[Source],
    out: Path,
    shard: Shard,
    *,
    tokenizer: TokenizerRecipe,
    processes: int | None = None,
    **options: Any,
) -> None:
    """One shard, with a progress bar."""
    with bar(1.0, "preparing") as progress:
        prepare_shard(
            sources,
            out,
            shard,
            tokenizer=tokenizer,
            processes=processes or os.cpu_count() or 1,
            progress=lambda done, total, phase: progress.to(done, phase, total=total),
            **options,
        )
    console.print(f"shard {shard}: {out}")


def merge_with_bar(shards: Sequence[Path], out: Path) -> Store:
    """The store of all shards, with a progress bar, then the closing table."""
    with bar(1.0, "merging") as progress:
        store = merge_shards(
            shards, out, progress=lambda done, total, phase: progress.to(done, phase, total=total)
        )
    console.print(safe(store.tally.table()))
    console.print(f"tokens: {out}")
    return store


def add_plane_with_bar(
    sources: Sequence[Source], out: Path, plane: Plane, *, processes: int | None = None
) -> None:
    """One more annotation for a finished store, with a progress bar."""
    with bar(1.0, "adding a plane") as progress:
        add_plane(
            out,
            sources,
            plane,
            processes=processes or os.cpu_count() or 1,
            progress=lambda done, total, phase: progress.to(done, phase, total=total),
        )
    console.print(f"{out} has the plane {name_of(plane)} now")


def tokenizer_from(written: str, vocab_size: int | None) -> TokenizerRecipe:
    """A tokenizer to train, by its name, or one that exists, by its folder or hub name. Raises UserError."""
    if written in names(TokenizerRecipe) and written != "pretrained":
        settings = {"type": written} | ({"vocab_size": vocab_size} if vocab_size else {})
        return named(TokenizerRecipe, settings, "--tokenizer")
    if vocab_size is not None:
        raise UserError(
            f"--vocab-size is for a tokenizer that is trained; '{written}' has its own vocabulary"
        )
    if not Path(written).is_dir() and "/" not in written:
        trained = [name for name in names(TokenizerRecipe) if name != "pretrained"]
        raise UserError(
            f"'{written}' is neither a folder nor a tokenizer to train; {did_you_mean(written, trained)}"
        )
    return PretrainedTokenizer(name=written)


def named(kind: Any, settings: Mapping[str, Any], option: str) -> Any:
    """An instance of a config or plug-in from the values of an option. Raises UserError that names the
    option."""
    tree = Node({key: Node(value, option) for key, value in settings.items()}, option)
    return build(kind, tree)
