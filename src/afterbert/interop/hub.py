"""Where is the model someone named? A folder here, or a name on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from afterbert.base.errors import UserError

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


def locate(name: str | Path, *, revision: str | None = None) -> Path:
    """The folder called so, or a snapshot of the hub's model of that name (no code, no pickles). Raises
    UserError.

    Only a name that is no folder reaches for the network.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(str(name)):
        raise UserError(
            f"there is no folder {name}; give a folder, or a hub name such as google-bert/bert-base-uncased"
        )
    return _fetch(str(name), revision)


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"'{name}' is no folder here and could not be fetched from the hub ({reason}); check the name and the "
            "network, or give a local folder"
        ) from None
