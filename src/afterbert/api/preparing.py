"""`ab.prepare`: texts in, a token store out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from afterbert.api.asking import Paths, paths_of
from afterbert.api.watch import Watch
from afterbert.text.from_paths import sources_for
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.training.process_setup import set_up_process
from afterbert.workflows.stores import prepared, tokenizer_named


def prepare(
    texts: Paths,
    out: str | Path = "store",
    *,
    tokenizer: str | TokenizerRecipe = "wordpiece",
    vocab_size: int | None = None,
    processes: int | None = None,
    **options: Any,
) -> Store:
    """Turns texts into a token store: pieces and annotations, once, for any number of runs.

    - texts: files, folders or hub names, one or several. out: the folder to write.
    - tokenizer: one to train, by its name or as an object, or the folder of one that exists.
    - vocab_size: pieces to learn; left out, the amount of text decides.
    - processes: one a core where nothing is said.
    - options: those of `afterbert.text.token_store.prepare.prepare`, such as `held_out`.

    Raises UserError. Interrupted, the same call goes on where it was.
    """
    set_up_process()
    recipe = tokenizer_named(tokenizer, vocab_size) if isinstance(tokenizer, str) else tokenizer
    with Watch() as watch:
        return prepared(
            sources_for(list(paths_of(texts))),
            Path(out),
            tokenizer=recipe,
            processes=processes,
            observer=watch,
            **options,
        )
