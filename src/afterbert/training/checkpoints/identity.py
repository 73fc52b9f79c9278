"""What a run was made from, and whether a resume is made from the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterbert.base import config
from afterbert.base.errors import UserError
from afterbert.training.config import HARMLESS


@dataclass(frozen=True)
class RunIdentity:
    """The resolved recipe as plain dicts, lists and scalars, the fingerprint of the token store, the digest of the
    tokenizer. way_out: of fine-tuning, what is left to whoever names a run that was begun with others."""

    recipe: Mapping[str, Any]
    store: str
    tokenizer: str
    way_out: str = ""

    def plain(self) -> dict[str, Any]:
        """Returns the identity for `state.json`, exactly as it will be read from there."""
        recipe = json.loads(json.dumps(config.to_plain(self.recipe)))
        return {
            "recipe": recipe,
            "recipe_digest": config.digest(recipe, length=64),
            "store": self.store,
            "tokenizer": self.tokenizer,
        }

    def check(self, saved: Mapping[str, Any], *, allow_changes: bool) -> list[str]:
        """Returns notes on harmless differences from what a checkpoint was made from (on all, if they are allowed).

        Raises UserError for other data or another tokenizer, and for a changed recipe unless `allow_changes`.
        """
        for name, mine in (("store", self.store), ("tokenizer", self.tokenizer)):
            if saved[name] != mine:
                if self.way_out:
                    other = {"store": "other rows", "tokenizer": "a model with another tokenizer"}[name]
                    raise UserError(f"the run there was begun with {other}; {self.way_out}")
                called = {"store": "the token store", "tokenizer": "the tokenizer"}[name]
                raise UserError(
                    f"{called} is {mine[:12]}, the run was begun with {saved[name][:12]}; "
                    f"resume with the {name} it was begun with, or start a new run"
                )
        changes = config.differences(saved["recipe"], self.plain()["recipe"])
        said = {path: f"{path}: {before!r} became {after!r}" for path, (before, after) in changes.items()}
        harmful = [line for path, line in said.items() if path.rsplit(".", 1)[-1] not in HARMLESS]
        if harmful and not allow_changes:
            made_of = "the settings are not those" if self.way_out else "the recipe is not the one"
            cure = self.way_out or "start a new run or say --allow-changes"
            raise UserError(f"{made_of} the run was begun with; take the old values, or {cure}:", *harmful)
        return [f"changed since the run began: {line}" for line in said.values()]
