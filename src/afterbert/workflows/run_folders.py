"""Finding runs and models on disk."""

import re
from pathlib import Path

from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.places import remembered, where
from afterbert.base.runs import RunFolder
from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.recipes.recipe import Resolved
from afterbert.text.token_store.mixture import find_store
from afterbert.text.token_store.store import Store

_DATA = "data.json"
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def run_folder_for(root: Path, resolved: Resolved, store: Store, *, name: str | None = None) -> RunFolder:
    """Returns the folder of a run below `root`. Its name holds recipe, size and a hash of all that decides the result,
    so that the same request finds its run again."""
    made_of = {"recipe": to_plain(resolved.recipe), "store": store.fingerprint}
    short = _NO_NAME.sub("-", resolved.name).lstrip("-.")  # a recipe's file may be called anything
    made_up = "-".join(filter(None, [short, resolved.size, digest(made_of, length=8)]))
    return RunFolder.create(root, name or made_up)


def remember_store(run: RunFolder, store: Store) -> None:
    """Writes data.json: the store in a few numbers, and where it lies, in full and as seen from the run."""
    place = remembered(store.folder, by=run.path)
    write_sealed(run.path / _DATA, store.summary() | {"store": place["path"], "place": place})


def store_of_run(run: RunFolder, *, wait: bool = True) -> Store:
    """Opens the store a run was begun with: from wherever the command is given, and also after the run was moved
    together with its store, or its store into the folder `stores` beside it. wait: as for `open_store`. Raises
    UserError."""
    remedy = "restore it from a copy of the run, or name the store: afterbert pretrain STORE --resume RUN"
    data = read_sealed(run.path / _DATA, remedy=remedy)
    if "place" in data:
        places = where(data["place"], by=run.path)
    else:  # a run of version 0.1 knows its store as the user named it
        places = [Path(data["store"])]
    return find_store([*places, *sorted((run.path.parent / "stores").glob("*"))], data["fingerprint"], wait=wait)


def newest_model(*roots: Path) -> Path:
    """Returns the folder of the run that finished last below `runs/` or `demo/`. Raises UserError if there is none."""
    roots = roots or (Path("runs"), Path("demo"))
    found = [path.parent for root in roots for path in root.glob("*/model/config.json")]
    if not found:
        raise UserError(
            "no finished run was found here; name one with --model FOLDER, or make one with `afterbert demo`"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent
