"""Folders of plug-ins: the folder listing is the registry.

A plug-in folder is a package whose `__init__` defines one abstract class. Every module in it holds exactly
one public final subclass, and the module's name is the plug-in's name in recipes. There is no second list. Packages
inside the folder hold what several plug-ins share.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import re
from functools import cache
from typing import Any

from afterbert.base.errors import UserError, did_you_mean


@cache
def names(interface: type) -> list[str]:
    """Returns the names of all plug-ins behind an abstract class, sorted."""
    return listed(interface.__module__)


def listed(package: str) -> list[str]:
    """Returns the names of all plug-ins in a package, sorted. The package is not imported."""
    found = importlib.util.find_spec(package)
    assert found is not None, f"there is no package {package}"
    modules = pkgutil.iter_modules(found.submodule_search_locations)
    return sorted(m.name for m in modules if not m.ispkg and not m.name.startswith("_"))


@cache
def find(interface: type, name: str) -> type[Any]:
    """Returns the plug-in class called `name`. Raises UserError with the nearest names when there is none."""
    if name not in names(interface):
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", interface.__name__).lower()
        raise UserError(f"no {kind} is called '{name}'; {did_you_mean(name, names(interface))}")
    module = importlib.import_module(f"{interface.__module__}.{name}")
    found = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, interface)
        and thing.__module__ == module.__name__
        and not thing.__name__.startswith("_")
    ]
    assert len(found) == 1, f"{module.__name__} must hold one public {interface.__name__}, holds {found}"
    return found[0]


def is_interface(kind: object) -> bool:
    """Returns whether `kind` is the abstract class of a plug-in folder."""
    if not inspect.isclass(kind) or not inspect.isabstract(kind):
        return False
    return hasattr(importlib.import_module(kind.__module__), "__path__")


def name_of(plugin: object) -> str:
    """Returns the plug-in name of an instance or class: its file's name."""
    cls = plugin if inspect.isclass(plugin) else type(plugin)
    return cls.__module__.rsplit(".", 1)[-1]
