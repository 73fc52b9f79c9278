"""Options that name a tokenizer, and other options that become objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterbert.base.config import build
from afterbert.base.tree import Node


def named(kind: Any, settings: Mapping[str, Any], option: str) -> Any:
    """An instance of a config or plug-in from the values of an option. Raises UserError that names the
    option."""
    tree = Node({key: Node(value, option) for key, value in settings.items()}, option)
    return build(kind, tree)
