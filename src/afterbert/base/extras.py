"""Libraries that an extra of this package brings."""

import importlib
import importlib.util
from typing import Any

from afterbert.base.errors import UserError


def missing(*modules: str) -> list[str]:
    """Returns the modules that are not installed."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def need_extra(extra: str, *modules: str, needed_by: str) -> None:
    """Raises UserError where modules that `extra` brings are not installed; none of them is imported."""
    if absent := missing(*modules):
        raise UserError(f"{needed_by} needs {', '.join(absent)}: pip install 'afterbert[{extra}]'")


def from_extra(module: str, extra: str, *, needed_by: str) -> Any:
    """Imports a module of a library that `extra` brings. Raises UserError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        raise UserError(f"{needed_by} needs the {library} library: pip install 'afterbert[{extra}]'") from None
