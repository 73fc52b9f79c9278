"""What makes a folder of files a checkpoint: a manifest with the digest of each, and of itself."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.training.checkpoints import tensor_file
from afterbert.training.checkpoints.tensor_file import Digest

FORMAT = 1
MANIFEST, STATE = "MANIFEST.json", "state.json"
_IN_SHARDS = {"model", "optim", "average"}  # folders where several processes wrote in pieces


def why_bad(path: Path) -> str | None:
    """Tells what is wrong with a checkpoint folder, in words; None if it is whole.

    Raises UserError for a whole one in a newer format: it is not damaged, but only a newer version can read it.
    """
    if path.is_symlink() or not path.is_dir():
        return "not a folder"
    entries = _entries(path)
    for name, entry in entries.items():
        if entry.is_symlink() or not entry.is_file():
            return f"{name} is not a plain file"
    if MANIFEST not in entries:
        return f"{MANIFEST} is missing"
    body = _read_manifest(entries.pop(MANIFEST).read_bytes())
    if body is None:
        return f"{MANIFEST} is damaged"
    version = body["format"]
    if version > FORMAT:
        raise UserError(
            f"checkpoint {path} was made by a newer version (format {version}; this one reads {FORMAT}); "
            "update afterbert"
        )
    files = {name: Digest(**entry) for name, entry in body["files"].items()}
    for name in sorted(files.keys() | entries.keys()):
        if name not in entries:
            return f"{name} is missing"
        if name not in files:
            return f"{name} does not belong there"
        size = entries[name].stat().st_size
        if size != files[name].size:
            return f"{name} has {size:,} bytes, expected {files[name].size:,}"
        if tensor_file.digest(entries[name]) != files[name]:
            return f"{name} has other contents than were saved"
    return None


def manifest_of(version: int, digests: Mapping[str, Digest]) -> bytes:
    """Returns the manifest's bytes; its last line is the digest of everything before it."""
    body = {"format": version, "files": {name: asdict(digests[name]) for name in sorted(digests)}}
    text = json.dumps(body, indent=1).encode() + b"\n"
    return text + hashlib.sha256(text).hexdigest().encode() + b"\n"


def _read_manifest(raw: bytes) -> dict[str, Any] | None:
    """Format version and digests as written; None if a single bit is not as it was."""
    text, own = raw[:-65], raw[-65:]
    if own != hashlib.sha256(text).hexdigest().encode() + b"\n":
        return None
    return json.loads(text)


def _entries(path: Path) -> dict[str, Path]:
    """Name -> file, those in the folders of sharded tensors included."""
    entries = {entry.name: entry for entry in path.iterdir()}
    for name in _IN_SHARDS & entries.keys():
        if entries[name].is_dir() and not entries[name].is_symlink():
            entries |= {f"{name}/{entry.name}": entry for entry in entries.pop(name).iterdir()}
    return entries
