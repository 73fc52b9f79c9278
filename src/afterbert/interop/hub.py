"""Where is the model someone named? A folder here, or a name on the Hugging Face hub."""

import re
from difflib import get_close_matches
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


def locate(name: str | Path) -> Path:
    """The folder called so, or a snapshot of the hub's model of that name (no code, no pickles). Raises UserError.

    Only a name that can be no folder here reaches for the network: `runs/laptop` does not where there is a `runs/`.
    """
    folder, said = Path(name), str(name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UserError(f"{name} is a file; name the folder of a model, or a run")
    is_path = len(folder.parts) > 1 and Path(folder.parts[0]).is_dir()
    if is_path or not _HUB_NAME.fullmatch(said):
        raise UserError(f"there is no folder {name}; {_nearest(folder) or 'name a run, or the folder of a model'}")
    return _fetch(said)


def _nearest(folder: Path) -> str:
    """A closing half sentence with the runs and models here that are called most alike; empty where none is."""
    roots = dict.fromkeys((folder.parent, Path("runs"), Path("demo")))
    inside = ("config.json", "model/config.json", "checkpoints")
    known = [
        str(one)
        for root in roots
        if root.is_dir()
        for one in sorted(root.iterdir())
        if any((one / part).exists() for part in inside) or any(one.glob("seed-*/model"))
    ]
    # the name alone decides where it lies elsewhere
    by_name = {Path(one).name: one for one in known}
    near = get_close_matches(str(folder), known, n=2) or [
        by_name[name] for name in get_close_matches(folder.name, by_name, n=2)
    ]
    return f"did you mean {' or '.join(near)}?" if near else ""


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        near = _nearest(Path(name))
        raise UserError(
            f"there is no folder {name} here{f' ({near})' if near else ''}, and no model of that name could be "
            f"fetched from the hub ({reason})"
        ) from None
