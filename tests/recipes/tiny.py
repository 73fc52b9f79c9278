"""One short training run of a recipe at size tiny on a few rows of the toy corpus, through the real trainer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from afterbert.base.config import to_plain
from afterbert.base.noise import Noise
from afterbert.base.runs import RunFolder
from afterbert.objectives.modules import ObjectiveModule
from afterbert.recipes import resolve
from afterbert.recipes.recipe import Recipe
from afterbert.training.checkpoints.checkpoint import Checkpoints, Saved
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.checkpoints.snapshot import restore_weights
from afterbert.training.distribution.parallel import Single
from afterbert.training.feed import Feed, feed_for
from afterbert.training.precision import choose
from afterbert.training.step import Passes
from afterbert.training.stepper import Stepper
from afterbert.training.trainer import train
from invented_rows import FakeSplit
from toy_corpus import VOCABULARY, toy_split

SPLIT = toy_split(documents=4)
# The recipe's task and layers; what makes a few rows of 32 pieces learnable by heart in seconds.
OVERRIDES = {
    "length": "32",
    "model.hidden_dropout_prob": "0",
    "model.attention_probs_dropout_prob": "0",
    "training.batch_size": "4",
    "training.precision": "fp32",
    "training.optimizer.learning_rate": "2e-3",
    "training.schedule.type": "constant",
    "training.log_every": "1",
    "training.workers": "0",
}


def tiny_recipe(name: str, *, steps: int) -> Recipe:
    """The recipe at size tiny with what a test needs laid on top."""
    overrides = [*OVERRIDES.items(), ("training.budget", f"{steps}steps")]
    recipe = resolve(name, size="tiny").recipe
    if getattr(recipe.objective, "views", None) == "dropout":  # which is all that it learns from
        overrides = [(key, value) for key, value in overrides if "dropout" not in key]
    if hasattr(recipe.model, "mem_len"):
        overrides.append(("model.mem_len", "16"))
    if hasattr(getattr(recipe.model.stack, "feed_forward", None), "inner_dropout"):
        overrides.append(("model.stack.feed_forward.inner_dropout", "0"))
    return resolve(name, size="tiny", overrides=overrides).recipe


def split_for(recipe: Recipe) -> FakeSplit:
    """The toy corpus, which tells two languages to a model that has vectors for them."""
    if not recipe.model.embeddings.languages:
        return SPLIT
    split = toy_split(documents=4)
    split.told_languages = np.array([1, 2], dtype=np.uint8)
    return split


def fresh(recipe: Recipe) -> ObjectiveModule:
    torch.manual_seed(recipe.training.seed)
    module = recipe.objective.build(recipe.model, VOCABULARY)
    recipe.objective.begin(module, SPLIT)
    return module


def feed_of(recipe: Recipe, *, views: int | None = None) -> Feed:
    training = replace(recipe.training, views=views or 1)  # so that there is something to learn by heart
    rows = {"length": recipe.length, "long_rows": recipe.long_rows}
    return feed_for(recipe.objective, split_for(recipe), training, vocabulary=VOCABULARY, **rows)


def trained(recipe: Recipe, folder: Path) -> tuple[ObjectiveModule, list[float]]:
    """The module after training, and the loss of every step."""
    run, module = RunFolder.create(folder, "tiny"), fresh(recipe)
    identity = RunIdentity(to_plain(recipe), SPLIT.fingerprint, "toy")
    outcome = train(run, module, feed_of(recipe), recipe.training, identity=identity)
    assert outcome.state == "finished"
    losses = [record["loss"] for record in run.metrics.read() if record["kind"] == "step"]
    return module.eval(), losses


def first_losses(recipe: Recipe, steps: int, *, on: str = "cpu") -> list[float]:
    """The losses of the first steps, as the trainer makes them, without its folder and checkpoints."""
    device = torch.device(on)
    module, feed = fresh(recipe).to(device), feed_of(recipe)
    optimizer = recipe.training.optimizer.build(module)
    passes = Passes(Single(module), choose(recipe.training.precision, device))
    stepper = Stepper(passes, optimizer, feed, recipe.training)
    feed.lasts(steps)
    losses = []
    for step in range(steps):
        batches = feed.step(step)
        found = stepper.gradient(batches, data_step=step, micro_batch_size=recipe.training.batch_size)
        stepper.update(found.gradient, 1.0)
        optimizer.zero_grad(set_to_none=True)
        losses.append(found.gradient.total)
    return losses


def checkpoint(folder: Path) -> Saved:
    """The run's newest checkpoint."""
    saved, notes = Checkpoints(RunFolder.open(folder / "tiny").checkpoints, keep=1).latest()
    assert saved is not None and not notes
    return saved


def reloaded(recipe: Recipe, folder: Path) -> ObjectiveModule:
    """A module with other fresh weights, into which the run's newest checkpoint was read."""
    torch.manual_seed(99)
    module = recipe.objective.build(recipe.model, VOCABULARY)
    restore_weights(module, checkpoint(folder).tensors("model"))
    return module.eval()


def asked(recipe: Recipe, numbers: list[int]) -> dict[str, Tensor]:
    """The arrays of these rows."""
    noise = Noise(recipe.training.seed)
    plan = recipe.objective.plan(split_for(recipe), length=recipe.length, vocabulary=VOCABULARY, noise=noise.of("plan"))
    batch = recipe.objective.pose(plan, np.array(numbers), noise, vocabulary=VOCABULARY, length=recipe.length)
    return {name: torch.as_tensor(array) for name, array in batch.arrays.items()}
