"""Any model by its name: also of a run of several seeds, and of one that has not finished."""

from dataclasses import replace
from pathlib import Path

from afterbert.interop.graph_folder import is_graph, read_graph
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import is_unfinished, load_model


def load_finished(name: str | Path) -> LoadedModel:
    """Returns the model as `load_model` finds it; of a fine-tuning run that of the seed which did best on dev, and a
    note says so where there are several. Raises UserError."""
    if not any(Path(name).glob("seed-*")):
        return load_model(name)
    # What reads figures of tasks is not loaded for any other model.
    from afterbert.downstream.finetuning.saving import finetuned_folder

    chosen, notes = finetuned_folder(Path(name))
    found = load_model(chosen)
    return replace(found, notes=(*notes, *found.notes))


def load_any(name: str | Path) -> LoadedModel:
    """Returns the model as `load_model_or_checkpoint` finds it, or a finished graph, which has no weights. Raises
    UserError."""
    return read_graph(Path(name))[0] if is_graph(Path(name)) else load_model_or_checkpoint(name)


def load_model_or_checkpoint(name: str | Path) -> LoadedModel:
    """Returns the model as `load_finished` finds it; of a run that has not finished, its newest whole checkpoint, and a
    note says of which step. Raises UserError."""
    if not is_unfinished(Path(name)):
        return load_finished(name)
    # A finished model is loaded without what only training needs.
    from afterbert.workflows.pretraining import newest_checkpoint

    return newest_checkpoint(Path(name))
