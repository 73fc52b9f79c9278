"""The tokenizer a user asks for, and whether a store has what a recipe states."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from afterbert.base.config import build, to_plain
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.plugins import names
from afterbert.base.tree import located, override
from afterbert.recipes.recipe import Recipe, Resolved, resolve
from afterbert.text.planes import Plane
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers import TokenizerRecipe

_PRETRAINED = "pretrained"
USUAL = "bpe"


def tokenizer_settings(
    written: str | None, vocab_size: int | None = None, others: Sequence[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """Puts what a user says of a tokenizer as settings of a recipe. written: the name of a kind to train, or the folder
    or hub name of one that exists; vocab_size: pieces to learn; others: settings such as `tokenizer.lowercase`. Raises
    UserError."""
    trained = [name for name in names(TokenizerRecipe) if name != _PRETRAINED]
    is_there = written is not None and written not in trained and not written.startswith("{")
    if is_there and vocab_size is not None:
        raise UserError(f"--vocab-size is for a tokenizer that is trained; '{written}' has its own vocabulary")
    if is_there and written is not None and not Path(written).exists() and "/" not in written:
        raise UserError(f"'{written}' is neither a folder nor a tokenizer to train; {did_you_mean(written, trained)}")
    asked = {"type": _PRETRAINED, "name": written} if is_there else {"type": written}
    settings = [("tokenizer", written if written and written.startswith("{") else json.dumps(asked))]
    settings = settings if written is not None else []
    return [*settings, *([("tokenizer.vocab_size", str(vocab_size))] if vocab_size else []), *others]


def tokenizer_named(
    written: str | None, vocab_size: int | None = None, others: Sequence[tuple[str, str]] = ()
) -> TokenizerRecipe:
    """Finds the tokenizer asked for, see `tokenizer_settings`; the usual one where no kind is named. Raises
    UserError."""
    tree = located({"tokenizer": {"type": USUAL}}, "--tokenizer")
    for key, value in tokenizer_settings(written, vocab_size, others):
        tree = override(tree, key, value, origin="--tokenizer" if key == "tokenizer" else None)
    return build(TokenizerRecipe, tree.value["tokenizer"], path="tokenizer")


def asked_by_recipe(name: str, settings: Sequence[tuple[str, str]] = ()) -> tuple[TokenizerRecipe, list[str]]:
    """Returns the tokenizer that a recipe states, with `settings` laid over it, and the listed annotations (phrase,
    entity) that its task needs. Raises UserError."""
    recipe = resolve(name, overrides=settings).recipe
    return recipe.tokenizer, listed_planes(recipe)


def listed_planes(recipe: Recipe) -> list[str]:
    """Returns the names of the planes that a recipe's units name and that are made from a list, in their order."""
    units = dict.fromkeys(unit for written in _units(to_plain(recipe.objective)) for unit in written.split("|"))
    return [unit for unit in units if unit in names(Plane)]


def check_tokenizer(resolved: Resolved, store: Store) -> list[str]:
    """Compares what a recipe states of its tokenizer with what the store's was made by. Returns a sentence for the user
    where they differ; raises UserError where the command line states it."""
    made = store.manifest["settings"]["tokenizer"]
    asked = to_plain(resolved.recipe.tokenizer)
    if made["type"] == _PRETRAINED or asked["type"] == _PRETRAINED:
        # One that is there already is known by its content, not by how it was made.
        is_said = resolved.origins().get("tokenizer.type", "").startswith("--") and asked["type"] == _PRETRAINED
        if is_said and resolved.recipe.tokenizer.make([], corpus_bytes=0).digest != store.tokenizer.digest:
            raise UserError(
                f"--tokenizer has no effect: {store.folder} was made with another one; prepare the texts with it, or "
                "name them in place of the store"
            )
        return []
    stated = {
        path.removeprefix("tokenizer").removeprefix(".") or "type": origin
        for path, origin in resolved.origins().items()
        if path.partition(".")[0] == "tokenizer"
    }
    differs = [key for key in stated if key in made and made[key] != asked[key]]
    if not differs:
        return []
    said = ", ".join(f"{key}: {_written(asked[key])} (the store's has {_written(made[key])})" for key in differs)
    if loud := [key for key in differs if stated[key].startswith("--")]:
        raise UserError(
            f"{stated[loud[0]]} has no effect: {store.folder} was made with another tokenizer; prepare the texts "
            "with it, or name them in place of the store"
        )
    return [
        f"recipe {resolved.name} states of its tokenizer {said}; `afterbert prepare TEXTS --recipe {resolved.name}` "
        "makes what it states"
    ]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "not said" if value is None else str(value)


def _units(plain: Any) -> Iterator[str]:
    """The values of every setting called `unit`, in their order."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            if key == "unit" and isinstance(value, str):
                yield value
            else:
                yield from _units(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from _units(value)
