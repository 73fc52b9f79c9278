"""Every objective in `objectives/`, by every recipe that uses it: batches that are pure, scores that are sums, and
no weight with two names in a checkpoint.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import yaml

from afterbert.base import config, plugins, tree
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.rows import Rows
from afterbert.models import Architecture
from afterbert.objectives import Batch, Objective
from afterbert.objectives.layer_drop import LayerDrop
from afterbert.objectives.mixture import MixedPlan, Mixture
from afterbert.objectives.modules import SAVED_HEADS, ObjectiveModule
from afterbert.objectives.parts.meaning import meaning_of_loss
from afterbert.pretext.pairings import Plan
from afterbert.recipes import known, resolve
from afterbert.recipes.recipe import Recipe
from afterbert.training.checkpoints.snapshot import weights
from toy_corpus import LENGTH, NOISE, VOCABULARY, taught, tensors, toy_split

SPLIT = toy_split(documents=6)
NAMES = plugins.names(Objective)
ROWS = np.arange(4)


@cache
def recipes() -> dict[str, Recipe]:
    """Without dropout and segment memory."""
    found = {name: resolve(name, size="tiny", overrides=_quiet(name)).recipe for name in known()}
    plain = found["bert-mlm"]
    around = {"taught": taught(plain.objective, plain.model), "dropped": LayerDrop(plain.objective, rate=0.0)}
    return {**found, **{name: replace(plain, objective=objective) for name, objective in around.items()}}


def _quiet(name: str) -> list[tuple[str, str]]:
    whole = to_plain(resolve(name, size="tiny").recipe)
    plain = whole["model"]
    overrides = [("model.hidden_dropout_prob", "0"), ("model.attention_probs_dropout_prob", "0")]
    overrides += [("model.mem_len", "0")] * ("mem_len" in plain)
    if whole["objective"].get("views") == "dropout":  # without it, its two views are one
        overrides += [("objective.views", "halves"), ("objective.pairing", "two_halves")]
    has_inner = "inner_dropout" in plain["stack"]["feed_forward"]
    return overrides + [("model.stack.feed_forward.inner_dropout", "0")] * has_inner


def using(objective: str) -> list[Recipe]:
    """The recipes whose objective has this name."""
    return [recipe for recipe in recipes().values() if plugins.name_of(recipe.objective) == objective]


def posed(objective: Objective, numbers: np.ndarray) -> Batch:
    plan = objective.plan(SPLIT, length=LENGTH, vocabulary=VOCABULARY, noise=NOISE.of("plan"))
    assert len(plan) >= len(ROWS)
    return objective.pose(plan, numbers, NOISE, vocabulary=VOCABULARY, length=LENGTH)


def built(recipe: Recipe) -> ObjectiveModule:
    torch.manual_seed(0)
    shrunk = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    model = replace(recipe.model, **shrunk)  # type: ignore[arg-type]
    return recipe.objective.build(model, VOCABULARY)


@pytest.fixture(params=NAMES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    """One recipe an objective; `test_every_recipe...` has them all."""
    return using(request.param)[0]


def test_every_objective_has_a_recipe() -> None:
    assert [name for name in NAMES if not using(name)] == []


@pytest.mark.parametrize("name", known())
def test_every_recipe_poses_pure_batches(name: str) -> None:
    objective = recipes()[name].objective
    batch, again = posed(objective, ROWS), posed(objective, ROWS)
    assert batch.arrays.keys() == again.arrays.keys()
    for key, array in batch.arrays.items():
        assert isinstance(array, np.ndarray), key
        assert np.array_equal(array, again.arrays[key]), key
    alone = [posed(objective, ROWS[row : row + 1]) for row in range(len(ROWS))]
    for part, count in batch.counts.items():
        assert type(count) is int and count >= 0
        assert count == sum(each.counts.get(part, 0) for each in alone), f"{part}: rows do not ask of each other"
    assert batch.num_tokens == sum(each.num_tokens for each in alone)
    keys = np.concatenate([each.row_keys for each in alone])
    assert batch.row_keys.dtype == np.uint64 and sorted(batch.row_keys) == sorted(keys)


def test_scores_are_scalar_sums_of_the_parts_the_batch_counts(recipe: Recipe) -> None:
    module, batch = built(recipe), posed(recipe.objective, ROWS)
    scores = module(tensors(batch))
    assert scores.keys() == batch.counts.keys() & module.loss_weights.keys()
    for part, score in scores.items():
        assert score.shape == () and score.dtype == torch.float32, part
    if module.compares_rows:
        return
    apart = [module(tensors(posed(recipe.objective, ROWS[row : row + 1]))) for row in range(len(ROWS))]
    for part, score in scores.items():
        total = sum(each[part] for each in apart if part in each)
        torch.testing.assert_close(score, total, atol=1e-3, rtol=1e-4)
    torch.stack(list(scores.values())).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())
    assert any(p.grad is not None and p.grad.any() for p in module.backbone.parameters())


class OnlySpecials(Plan):
    """Rows of special pieces, of which none may be chosen."""

    def __len__(self) -> int:
        return 3

    def rows(self, numbers: np.ndarray) -> Rows:
        ids = np.tile(np.array([VOCABULARY.cls, VOCABULARY.sep], dtype=np.int32), len(numbers))
        no = np.zeros(len(ids), dtype=bool)
        names = [f"{unit}_{kind}" for unit in ("word", "phrase", "entity") for kind in ("start", "inside")]
        planes = dict.fromkeys([*names, "sentence_start", "count"], no)
        planes |= {"special": ~no, "segment": no.astype(np.uint8), "document": no.astype(np.int32)}
        return Rows(ids, np.arange(len(numbers) + 1) * 2, np.arange(len(numbers), dtype=np.uint64), planes)

    def labels(self, numbers: np.ndarray) -> np.ndarray:
        return np.full(len(numbers), -1)


@pytest.mark.parametrize("name", known())
def test_where_nothing_can_be_chosen_the_score_is_zero_and_never_nan(name: str) -> None:
    recipe = recipes()[name]
    objective, plan = recipe.objective, OnlySpecials()
    if isinstance(objective, Mixture):
        plan = MixedPlan({member.name: plan for member in objective.members})
    batch = objective.pose(plan, np.arange(3), NOISE, vocabulary=VOCABULARY, length=LENGTH)
    module = built(recipe)
    scores = module(tensors(batch))
    for part, score in scores.items():
        assert score.isfinite(), part
        assert batch.counts[part] or float(score.detach()) == 0, part
    if any(score.requires_grad for score in scores.values()):
        torch.stack(list(scores.values())).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


def test_measures_are_sums_over_counts(recipe: Recipe) -> None:
    module = built(recipe).eval()
    with torch.inference_mode():
        found = module.measure(tensors(posed(recipe.objective, ROWS)))
    assert found, "an objective measures something a person can read"
    for name, (total, count) in found.items():
        assert isinstance(count, int) and 0 <= float(total) <= count, name


@pytest.mark.parametrize("name", known())
def test_every_figure_has_a_name_a_unit_and_its_baseline(name: str) -> None:
    recipe = recipes()[name]
    module, named = built(recipe).eval(), built(recipe).meanings()
    with torch.inference_mode():
        measured = module.measure(tensors(posed(recipe.objective, ROWS)))
    ponder = {part for part in module.loss_weights if part.endswith("ponder")}
    assert (module.loss_weights.keys() | measured.keys()) - ponder <= named.keys()
    for one in named.values():
        assert one.title and one.unit and (not one.beside or one.beside in named)
    whole = meaning_of_loss(module.loss_weights, named)
    if len(module.loss_weights) > 1:
        assert whole.title.startswith("weighted sum"), "a sum of several things is not called one of them"


@pytest.mark.parametrize("name", known())
def test_a_uniform_guess_reaches_what_is_said(name: str) -> None:
    """A model whose weights are all zero holds every answer for equally likely."""
    recipe = recipes()[name]
    module = built(recipe).eval()
    for parameter in module.parameters():
        parameter.data.zero_()
    batch = posed(recipe.objective, ROWS)
    with torch.inference_mode():
        scores = module(tensors(batch))
    for part, meaning in module.meanings().items():
        if part in scores and meaning.uniform is not None and batch.counts[part]:
            assert float(scores[part]) / batch.counts[part] == pytest.approx(meaning.uniform, rel=1e-4), part


def test_scores_do_not_depend_on_torchs_generator(recipe: Recipe) -> None:
    module, arrays = built(recipe), tensors(posed(recipe.objective, ROWS))
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        drawn.append({part: float(score.detach()) for part, score in module(arrays).items()})
    assert drawn[0] == drawn[1]


def test_a_checkpoint_has_every_weight_once_and_can_be_read_back(recipe: Recipe) -> None:
    module = built(recipe)
    kept = weights(module)
    assert {p.data_ptr() for p in module.parameters()} <= {tensor.data_ptr() for tensor in kept.values()}
    trained = {name for name, _ in module.named_parameters()}
    assert trained <= kept.keys(), "a parameter's name in the optimizer is its name in the checkpoint"


def test_the_backbone_stands_alone(recipe: Recipe) -> None:
    module = built(recipe)
    own = dict(module.backbone.named_parameters())
    heads = module.saved_heads
    assert set(heads) <= set(SAVED_HEADS)
    for head in heads.values():
        assert not {p.data_ptr() for p in head.parameters()} & {p.data_ptr() for p in own.values()}


@pytest.mark.parametrize("kind", plugins.names(Architecture))
@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_is_refused_or_trained(name: str, kind: str) -> None:
    small = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "hidden_dropout_prob": 0.0}
    architecture = plugins.find(Architecture, kind)(**small)
    objective = using(name)[0].objective
    try:
        objective.check(architecture)
    except UserError as error:
        assert ";" in str(error), "what was found; how to mend it"
        return
    torch.manual_seed(0)
    module = objective.build(architecture, VOCABULARY)
    scores = module(tensors(posed(objective, ROWS)))
    assert all(score.isfinite() for score in scores.values())


def test_a_config_says_everything(recipe: Recipe) -> None:
    written = yaml.safe_dump(to_plain(recipe.objective))
    again = config.build(Objective, tree.parse(written, label="plain.yaml"))  # type: ignore[type-abstract]
    assert again == recipe.objective and hash(again) == hash(recipe.objective)
