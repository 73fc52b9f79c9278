"""Libraries that an extra of this package brings."""

import importlib
from typing import Any

from afterbert.base.errors import UserError


def from_extra(module: str, extra: str, *, needed_by: str) -> Any:
    """Imports a module of a library that `extra` brings. Raises UserError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        raise UserError(f"{needed_by} needs the {library} library: pip install 'afterbert[{extra}]'") from None
