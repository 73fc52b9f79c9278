"""Options that name a tokenizer, and other options that become objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afterbert.base.config import build
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.plugins import names
from afterbert.base.tree import Node
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer


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
