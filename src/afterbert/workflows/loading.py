"""Any model by its name, that of a run which has not finished too."""

from pathlib import Path

from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import is_unfinished, load_model


def load_model_or_checkpoint(name: str | Path) -> LoadedModel:
    """Returns the model as `load_model` finds it. For a run that has not finished it is the newest whole checkpoint,
    and a note says of which step. Raises UserError."""
    if not is_unfinished(Path(name)):
        return load_model(name)
    # A finished model is loaded without what only training needs.
    from afterbert.workflows.pretraining import newest_checkpoint

    return newest_checkpoint(Path(name))
