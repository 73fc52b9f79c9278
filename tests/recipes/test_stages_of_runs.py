"""What goes through stages does so in the shortest run that has a step for each, and says so before the first one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import fresh, tiny_recipe, trained

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.objectives.mixture import Mixture
from afterbert.recipes import resolve
from afterbert.recipes.recipe import Recipe


def in_turn(steps: int) -> Recipe:
    recipe = tiny_recipe("masked-causal", steps=steps)
    assert isinstance(recipe.objective, Mixture)
    return replace(recipe, objective=replace(recipe.objective, how="in_turn"))


def in_two_stages(steps: int) -> Recipe:
    recipe = tiny_recipe("electra", steps=steps)
    generator = replace(recipe.objective.generator, size=1.0, shares="none")
    return replace(recipe, objective=replace(recipe.objective, generator=generator, two_stage=0.5))


def notes_of(folder: Path) -> list[tuple[int, str]]:
    records = RunFolder.open(folder / "tiny").metrics.read()
    return [(record["step"], record["text"]) for record in records if record["kind"] == "note"]


def parts_of(folder: Path) -> list[set[str]]:
    records = RunFolder.open(folder / "tiny").metrics.read()
    return [set(record["parts"]) - {"ponder"} for record in records if record["kind"] == "step"]


def test_the_shortest_ernie_has_all_its_stages(tmp_path: Path) -> None:
    trained(tiny_recipe("ernie", steps=3), tmp_path)
    told = "fixed_count of piece (steps 1 to 1), fixed_count of phrase|word (steps 2 to 2), "
    told += "fixed_count of entity|phrase|word (steps 3 to 3)"
    assert (0, f"stages of selection staged: {told}") in notes_of(tmp_path)


def test_the_shortest_run_in_turn_trains_each_member(tmp_path: Path) -> None:
    trained(in_turn(2), tmp_path)
    assert parts_of(tmp_path) == [{"masked.masked"}, {"causal.next"}]


def test_the_shortest_electra_in_two_stages_trains_its_discriminator(tmp_path: Path) -> None:
    recipe = in_two_stages(2)
    module, _ = trained(recipe, tmp_path)
    assert parts_of(tmp_path) == [{"generator"}, {"replaced"}]
    assert module.is_handed_over
    for name, weight in fresh(recipe).detector.named_parameters():
        assert not torch.equal(weight, module.detector.get_parameter(name)), name
    for name, weight in module.backbone.named_parameters():  # from the generator's on, which stood still
        if weight.ndim == 2 and "segment" not in name and "token_type" not in name:
            assert not torch.equal(weight, module.generator.get_parameter(name)), name


@pytest.mark.parametrize("steps", [1, 2])
def test_a_run_too_short_for_its_stages_is_refused_when_it_is_read(steps: int) -> None:
    with pytest.raises(UserError, match=rf"which one would not come in a run of {steps} steps?; train for at least 3"):
        resolve("ernie", overrides=[("training.budget", f"{steps}steps")])
    assert resolve("ernie", overrides=[("training.budget", "3steps")])


def test_a_budget_that_turns_out_too_short_is_refused_before_the_first_step(tmp_path: Path) -> None:
    recipe = tiny_recipe("ernie", steps=3)
    short = replace(recipe.training, budget=replace(recipe.training.budget, amount=100, unit="tokens"))
    with pytest.raises(UserError, match="of which one would not come in a run of 1 step"):
        trained(replace(recipe, training=short), tmp_path)
    assert parts_of(tmp_path) == []
