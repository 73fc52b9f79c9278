"""afterbert: from a folder of text to a small language model, and the pre-training idea that serves it best.

    import afterbert as ab

    run = ab.pretrain("texts/", recipe="laptop", budget="10min")
    ab.load(run).fill("The [MASK] of the law.")

Importing the package imports neither torch nor transformers; each of its names does when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from afterbert._registration import register_when_imported

if TYPE_CHECKING:
    from afterbert.api.compressing import compress
    from afterbert.api.finetuning import finetune
    from afterbert.api.loading import load
    from afterbert.api.preparing import prepare
    from afterbert.api.pretraining import pretrain
    from afterbert.api.showing import show

__version__ = "0.1.0"
__all__ = ["compress", "finetune", "load", "prepare", "pretrain", "show"]

_MODULES = {
    "compress": "compressing",
    "finetune": "finetuning",
    "load": "loading",
    "prepare": "preparing",
    "pretrain": "pretraining",
    "show": "showing",
}

register_when_imported()


def __getattr__(name: str) -> Any:
    """One of the six names, imported now; the process is set up for training first, as the command line does."""
    if name not in _MODULES:
        raise AttributeError(f"module 'afterbert' has no attribute '{name}'")
    from afterbert.training.process_setup import set_up_process

    set_up_process()
    found = globals()[name] = getattr(import_module(f"afterbert.api.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
