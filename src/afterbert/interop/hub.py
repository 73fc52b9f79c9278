"""Where is the model someone named? A folder here, or a name on the Hugging Face hub."""

import re
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.run_files import called_like, no_folder

_WANTED = [
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
]
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def locate(name: str | Path) -> Path:
    """Returns the folder of this name, or a snapshot of the hub's model of that name (without code and pickles). Raises
    UserError.

    Only a name that can be no folder here reaches for the network: `runs/laptop` does not where there is a `runs/`.
    """
    folder, said = Path(name), str(name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UserError(f"{name} is a file; name the folder of a model, or a run")
    is_path = len(folder.parts) > 1 and Path(folder.parts[0]).is_dir()
    if is_path or not _HUB_NAME.fullmatch(said):
        raise UserError(no_folder(name))
    return _fetch(said)


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        if called_like(Path(name)):
            raise UserError(no_folder(name)) from None
        raise UserError(
            f"there is no folder {name} here, and no model of that name could be fetched from the hub "
            f"({type(error).__name__})"
        ) from None
