"""Any model by its name, that of a run which has not finished too."""

from pathlib import Path

from afterbert.downstream.finetuning.saving import figure_on_dev, has_answers
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import is_unfinished, load_model


def load_model_or_checkpoint(name: str | Path) -> LoadedModel:
    """The model as `load_model` finds it; of a run that has not finished, its newest whole checkpoint, and a note says
    of which step. Raises UserError."""
    if not is_unfinished(Path(name)):
        return load_model(name)
    # A finished model is loaded without what only training needs.
    from afterbert.workflows.pretraining import newest_checkpoint

    return newest_checkpoint(Path(name))


def finetuned_folder(source: Path) -> tuple[Path, tuple[str, ...]]:
    """Finds the folder to read of a fine-tuning run, that of the seed which did best on dev, and what to say of the
    others; any other source as it is."""
    if has_answers(source) or (source / "model").is_dir():
        return source, ()
    seeds = sorted(path for path in source.glob("seed-*") if has_answers(path))
    if not seeds:
        return source, ()
    figures = {seed: figure_on_dev(seed) for seed in seeds}
    judged = [seed for seed in seeds if figures[seed] is not None]
    best = max(judged, key=lambda seed: figures[seed] or 0.0, default=seeds[0])
    if len(seeds) == 1:
        return best, ()
    why = "did best on dev" if judged else "is the first, for no row of dev has a label"
    return best, (f"of {len(seeds)} seeds this is {best.name}, which {why}",)
