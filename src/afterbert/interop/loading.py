"""The one rule by which a model is found: what a name on the command line or in Python stands for."""

from dataclasses import replace
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.interop.importing import import_folder
from afterbert.interop.loaded import FINISHED, LoadedModel


def load_model(name: str | Path) -> LoadedModel:
    """Returns the model that `name` stands for: the `model/` of a run folder, else the model folder itself, else the
    hub's model of that name. It has a tokenizer.

    Raises UserError, also for a run that has not finished: of such a run `workflows.loading` reads the newest
    checkpoint.
    """
    found = replace(import_folder(model_folder(name)), name=str(name))
    _ = found.tokenizer  # a model without one is refused here, whatever it is wanted for
    return found


def model_folder(name: str | Path) -> str | Path:
    """Returns the folder to read, or the name itself if it is no folder here. Raises UserError for a run that has not
    finished, for a graph, and for a folder whose models lie in folders below it."""
    path = Path(name)
    if (path / "graph.json").is_file():
        raise UserError(f"{name} is {FINISHED}")
    check_no_graph_of_others(path)
    inner = RunFolder(path).model
    if (inner / "config.json").is_file():
        return inner
    if (path / "config.json").is_file():
        return path
    if is_unfinished(path):
        raise UserError(
            f"{name} is a run that has not finished; go on with `afterbert pretrain --resume {name}`, or write its "
            f"newest checkpoint with `afterbert export {name} OUT` and name that"
        )
    if below := [one for depth in range(1, 4) for one in sorted(path.glob("*/" * depth + "model/config.json"))]:
        raise UserError(f"{name} holds models in folders below it; name one of these, such as {below[0].parents[1]}")
    return name


def check_no_graph_of_others(path: Path) -> None:
    """Raises UserError for a folder that `export --onnx` or `--web` wrote, which has no weights that could be read."""
    if not any(path.glob("*.safetensors")) and (any(path.glob("*.onnx")) or any(path.glob("onnx/*.onnx"))):
        raise UserError(f"{path} holds a graph for other tools, without weights; name the model it was exported from")


def is_unfinished(path: Path) -> bool:
    """Returns whether a folder is a run that has not written its model yet."""
    return RunFolder(path).checkpoints.is_dir() and not (RunFolder(path).model / "config.json").is_file()
