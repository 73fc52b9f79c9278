"""Any model by its name, that of a run which has not finished too."""

from __future__ import annotations

from pathlib import Path

from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import is_unfinished, load_model
from afterbert.workflows.pretraining import newest_checkpoint


def load_model_or_checkpoint(name: str | Path) -> LoadedModel:
    """Loads a model as `load_model` does; of a run that has not finished, the newest whole checkpoint, and a note
    says of which step. Raises UserError."""
    return newest_checkpoint(Path(name)) if is_unfinished(Path(name)) else load_model(name)
