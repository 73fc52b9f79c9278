"""Recipes of every kind, broken off twice without warning: the losses and weights of an unbroken run, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import SPLIT, feed_of, fresh, tiny_recipe

from afterbert.base.budget import Budget
from afterbert.base.config import to_plain
from afterbert.base.runs import RunFolder
from afterbert.recipes.recipe import Recipe
from afterbert.training.checkpoints.checkpoint import Checkpoints, Saved
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.config import LongRows
from afterbert.training.observers import Observer
from afterbert.training.trainer import train

STEPS = 8
# A pair question; a generator beside the model, and one that hands its weights over; words of a span; two streams and
# a memory; encoder and decoder; left to right; halting; stages; members of a mixture, by row or in turn; pointers;
# rows of another length at the end.
KINDS = (
    *("bert", "electra", "electra in two stages", "spanbert", "xlnet", "t5", "gpt2", "universal-transformer"),
    *("ernie", "masked-causal", "masked-causal in turn", "find-true-start", "bert with long rows"),
)


class Stopped(Exception):
    """Ends a run as a crash does."""


class StopAt(Observer):
    def __init__(self, step: int):
        self.step = step

    def on_step(self, record) -> None:
        if record["step"] == self.step:
            raise Stopped


def recipe_for(kind: str) -> Recipe:
    """With dropout, so that the generators matter, and several epochs."""
    recipe = tiny_recipe(kind.split()[0], steps=STEPS)
    model = replace(recipe.model, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    training = replace(recipe.training, checkpoint_every=Budget(2, "steps"), evaluate_every=None)
    if kind.endswith("in two stages"):
        generator = replace(recipe.objective.generator, size=1.0, shares="none")
        recipe = replace(recipe, objective=replace(recipe.objective, generator=generator, two_stage=0.4))
    if kind.endswith("in turn"):
        recipe = replace(recipe, objective=replace(recipe.objective, how="in_turn"))
    if kind.endswith("long rows"):
        recipe = replace(recipe, long_rows=LongRows(64, 0.5))  # from step 5 on
    return replace(recipe, model=model, training=training)


def leg(folder: Path, recipe: Recipe, *, until: int | None, views: int | None) -> None:
    train(
        RunFolder.create(folder.parent, folder.name),
        fresh(recipe),
        feed_of(recipe, views=views),
        recipe.training,
        identity=RunIdentity(to_plain(recipe), SPLIT.fingerprint, "toy"),
        observers=[StopAt(until)] if until else [],
    )


def newest(folder: Path) -> Saved:
    saved, notes = Checkpoints(folder / "checkpoints", keep=1).latest()
    assert saved is not None and saved.step == STEPS and not notes
    return saved


@pytest.mark.parametrize("kind", KINDS)
def test_a_resume_loses_nothing(kind: str, tmp_path: Path) -> None:
    recipe, views = recipe_for(kind), 3
    leg(tmp_path / "whole", recipe, until=None, views=views)
    for until in (3, 7):
        with pytest.raises(Stopped):
            leg(tmp_path / "broken", recipe, until=until, views=views)
    leg(tmp_path / "broken", recipe, until=None, views=views)
    told = [
        [
            (record["step"], record["loss"], record["parts"], record["grad_norm"])
            for record in RunFolder(tmp_path / name).metrics.read()
            if record["kind"] == "step"
        ]
        for name in ("whole", "broken")
    ]
    assert [step for step, *_ in told[0]] == list(range(1, STEPS + 1))
    assert told[0] == told[1]
    for file in ("model", "optim", "carried"):
        mine, theirs = (newest(tmp_path / name).tensors(file) for name in ("whole", "broken"))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items()), file
