"""`ab.prepare`: texts in, a token store out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afterbert.api.asking import Paths, paths_of
from afterbert.api.watch import Watch
from afterbert.text.from_paths import piece_recipe_of
from afterbert.text.planes import Plane
from afterbert.text.token_store.prepare import PLANES
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.workflows.stores import prepared
from afterbert.workflows.text_options import TextOptions
from afterbert.workflows.tokenizer_choice import asked_by_recipe, tokenizer_named, tokenizer_settings


def prepare(
    texts: Paths,
    out: str | Path = "store",
    *,
    tokenizer: str | TokenizerRecipe | None = None,
    vocab_size: int | None = None,
    recipe: str | None = None,
    planes: Sequence[Plane] = PLANES,
    overwrite: bool = False,
    **reading: Any,
) -> Store:
    """Turns texts into a token store (pieces and annotations) that any number of runs can read.

    - texts: files, folders or hub names, one or several. out: the folder to write.
    - tokenizer: a kind to train, by its name or as an object, or the folder of an existing one; `bpe` when left out.
      Token files are made with their own, or with the existing one that is named.
    - vocab_size: how many pieces to learn; when left out, the amount of text decides.
    - recipe: the name of the recipe whose tokenizer is made.
    - planes: the annotations to find.
    - overwrite: whether a store that was made with other texts or settings is replaced.
    - reading: how texts are read, the fields of `afterbert.workflows.text_options.TextOptions`, such as
      `documents="line"` or `held_out=0.05`.

    Raises UserError. After an interruption the same call goes on where it was.
    """
    options = TextOptions(**reading)
    named = None if isinstance(tokenizer, TokenizerRecipe) else tokenizer
    sources = options.sources(list(paths_of(texts)), tokenizer=named)
    if (of_pieces := piece_recipe_of(sources)) is not None:
        made = of_pieces
    elif isinstance(tokenizer, TokenizerRecipe):
        made = tokenizer
    elif recipe is not None:
        made, _ = asked_by_recipe(recipe, tokenizer_settings(tokenizer, vocab_size))
    else:
        made = tokenizer_named(tokenizer, vocab_size)
    with Watch() as watch:
        return prepared(
            sources, Path(out), tokenizer=made, reading=options, observer=watch, planes=planes, overwrite=overwrite
        )
