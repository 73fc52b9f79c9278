"""Finding runs and models on disk."""

from __future__ import annotations

from pathlib import Path

from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.recipes.recipe import Resolved
from afterbert.text.token_store.store import Store


def run_folder_for(root: Path, resolved: Resolved, store: Store, *, name: str | None = None) -> RunFolder:
    """The folder of a run below `root`: recipe, size and a hash of all that decides the result, so that the
    same request finds its run again."""
    made_of = {"recipe": to_plain(resolved.recipe), "store": store.fingerprint}
    made_up = "-".join(filter(None, [resolved.name, resolved.size, digest(made_of, length=8)]))
    return RunFolder.create(root, name or made_up)


def newest_model(*roots: Path) -> Path:
    """The folder of the run that finished last below `runs/` or `demo/`. Raises UserError when there is
    none."""
    roots = roots or (Path("runs"), Path("demo"))
    found = [path.parent for root in roots for path in root.glob("*/model/config.json")]
    if not found:
        raise UserError(
            "no finished run was found here; name one with --model FOLDER, or make one with `afterbert demo`"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent
