"""Data sets of the Hugging Face hub, through `datasets` (extra `data`): fetched once into plain files, then
read like any others."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra

_SPLITS = {"validation": "dev", "valid": "dev", "validation_matched": "dev"}


def fetch(name: str, folder: Path) -> Path:
    """Returns the folder of `name` (or `name/config`, or an owner's: `owner/name`) below `folder`. It holds one jsonl
    file for each split, written only once.

    Raises UserError without `datasets`, without a network, or where the hub has no such data set.
    """
    target = folder / name.replace("/", "-")
    if any(target.glob("*.jsonl")):
        return target
    splits = _load(name)
    # Under its name only when it is whole: a fetch that was broken off must not pass for a set without a dev split.
    beside = target.with_name(f"{target.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for split, rows in splits.items():
        write(rows, beside / f"{_SPLITS.get(split, split)}.jsonl")
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    beside.replace(target)
    return target


def write(rows: Any, path: Path) -> None:
    """Writes a split of `datasets` as jsonl: class numbers become class names, the hub's -1 no label. The file is whole
    or absent."""
    beside = path.with_suffix(".part")
    names = {column: _class_names(feature) for column, feature in rows.features.items()}
    with beside.open("w", encoding="utf-8") as file:
        for record in rows:
            named = {column: _with_names(value, names[column]) for column, value in record.items()}
            file.write(json.dumps(named, ensure_ascii=False) + "\n")
    beside.replace(path)


def _class_names(feature: Any) -> list[str] | None:
    """The names of a class column, or of a column of lists of classes."""
    inner = getattr(feature, "feature", None)
    return getattr(feature, "names", None) or getattr(inner, "names", None)


def _with_names(value: Any, names: list[str] | None) -> Any:
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_with_names(one, names) for one in value]
    return names[value] if value >= 0 else None


def _load(name: str) -> Mapping[str, Any]:
    datasets = from_extra("datasets", "data", needed_by=f"hub:{name}")
    attempts = [(name, None), *([tuple(name.rsplit("/", 1))] if "/" in name else [])]
    reason = ""
    for repository, config in attempts:
        try:
            return datasets.load_dataset(repository, config)
        # The hub's client has no error of its own: OSError offline, ValueError for a config, others by
        # version.
        except Exception as error:
            reason = str(error).split("\n")[0][:200] or type(error).__name__
    raise UserError(f"hub:{name} cannot be fetched ({reason}); check the name and the network, or name a file")
