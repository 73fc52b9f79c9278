"""Mixes of sources, said before and after; and what `pretrain` does with several stores that are named together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from afterbert.base.config import build, digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.mixing import Mixing
from afterbert.base.noise import Noise
from afterbert.base.runs import RunFolder, write_atomically
from afterbert.base.tree import Node, override
from afterbert.cli.terminal import console, safe
from afterbert.downstream.finetuning.mix import TaskMix
from afterbert.objectives.mixture import MixedPlan
from afterbert.objectives.parts.blending import Blend
from afterbert.pretext.pairings import Plan
from afterbert.recipes.recipe import Recipe
from afterbert.text.token_store.mixture import MixtureStore, mix_stores, open_store
from afterbert.text.token_store.store import Store
from afterbert.training.feed import Feed
from afterbert.workflows.pretraining import plan_of


def say_mix(mix: TaskMix, title: str, *, what: str = "task") -> None:
    """How many of the steps' rows come from each source, and how many rounds through it that is."""
    table = Table(box=None, header_style="bold", title=f"{title}: {mix.steps:,} steps", title_justify="left")
    for column in (what, "training rows", "rows drawn", "share", "epochs"):
        table.add_column(column, justify="left" if column == what else "right")
    for name, one in mix.plain()["sources"].items():
        table.add_row(
            safe(name), f"{one['rows']:,}", f"{one['drawn']:,}", f"{one['share']:.1%}", f"{one['epochs']:.2f}"
        )
    console.print(table)


def is_store(text: str) -> bool:
    """Whether it names a store, or a mixture of some."""
    return any((Path(text) / file).is_file() for file in ("store.json", "mixture.json"))


def mixing_of(settings: Sequence[tuple[str, str]]) -> Mixing:
    """The law from `--mixing NAME` and `--mixing.KEY VALUE`; by size where none is given. Raises UserError."""
    tree = Node({"mixing": Node({"type": Node("proportional", "default")}, "default")}, "default")
    for key, value in settings:
        tree = override(tree, key, value)
    return build(Mixing, tree.value["mixing"])


def stores_together(texts: Sequence[str], mixing: Mixing, root: Path) -> Store:
    """The stores named, as one; a folder below `root` names them. Raises UserError."""
    paths = [Path(text) for text in texts]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    stores = {name: open_store(path) for name, path in zip(names, paths)}
    if any(isinstance(store, MixtureStore) for store in stores.values()):
        raise UserError("one of the stores is a mixture already; name what it mixes instead")
    made_of = {"mixing": to_plain(mixing), "stores": {n: s.fingerprint for n, s in stores.items()}}
    return mix_stores(stores, mixing, root / "stores" / f"mix-{digest(made_of)}")


def mix_of(recipe: Recipe, store: Store, steps: int | None = None) -> TaskMix:
    """The rows of each store in the first `steps` of a run: of so many as its budget says, or of one epoch where that
    is not said in steps or epochs."""
    training, split = recipe.training, store.split("train")
    plans: dict[int, Plan] = {}

    def plan(noise: Noise) -> Plan:
        while len(plans) > 2:  # as many as the feed keeps
            del plans[next(iter(plans))]
        plans[noise.view] = plan_of(recipe, store, split, noise)
        return plans[noise.view]

    feed = Feed.of(training, plan=plan, pose=_nothing)
    budget, per_epoch = training.budget, feed.rows_in_epoch(0) / training.batch_size
    if steps is None:
        amount = budget.amount * per_epoch if budget.unit == "epochs" else per_epoch
        steps = int(budget.amount) if budget.unit == "steps" else max(1, math.ceil(amount - 1e-9))
    blend = _blend(plans[0])
    sizes = {name: len(own) for name, own in blend.plans.items()}
    drawn = np.zeros(len(sizes), dtype=np.int64)
    for part in feed.parts(range(steps * training.batch_size)):
        blend = _blend(plans[part.epoch % training.views if training.views else part.epoch])
        drawn += np.bincount(blend.sources(part.numbers % len(blend)), minlength=len(sizes))
    return TaskMix(steps, sizes, dict(zip(sizes, drawn.tolist())))


def tell_mix(run: RunFolder, recipe: Recipe, store: Store, *, steps: int | None = None) -> None:
    """Prints the mix, planned or after so many steps, and keeps it in the run's `mixture.json`."""
    if not isinstance(store, MixtureStore):
        return
    mix, path = mix_of(recipe, store, steps), run.path / "mixture.json"
    say_mix(mix, "the mix to come" if steps is None else "the mix as it was", what="store")
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept["planned" if steps is None else "realised"] = mix.plain()
    write_atomically(path, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def _blend(plan: Plan) -> Blend:
    own = next(iter(plan.plans.values())) if isinstance(plan, MixedPlan) else plan
    assert isinstance(own, Blend), "the store is a mixture"
    return own


def _nothing(plan: Plan, numbers: np.ndarray, noise: Noise) -> Any:
    raise AssertionError("rows are counted, not posed")
