"""Tells transformers of our own folder layout as soon as both are imported, in whichever order.

Nothing is imported for it: a finder waits for transformers' own module of auto classes and acts after it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_AWAITED = ("transformers.models.auto.configuration_auto", "transformers.models.auto.modeling_auto")


def register_when_imported() -> None:
    """Registers now what is already imported, and the rest when it is."""
    for name in _AWAITED:
        if name in sys.modules:
            _register(name)
    sys.meta_path.insert(0, _Finder())


def _register(name: str) -> None:
    """Each of our modules registers itself as its last act, so it does not matter whether importing it came
    first and brought transformers here."""
    importlib.import_module("afterbert.interop.own_configuration")
    if name.endswith("modeling_auto"):
        importlib.import_module("afterbert.interop.own_classes")


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self.awaited = {name for name in _AWAITED if name not in sys.modules}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.awaited:
            return None
        self.awaited.remove(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, theirs: Loader):
        self.theirs = theirs

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.theirs.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.theirs.exec_module(module)
        _register(module.__name__)
