"""What goes through stages does so in the shortest run that has a step for each, and says so before the first one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import feed_of, fresh, tiny_recipe, trained

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.objectives.mixture import Mixture
from afterbert.recipes import resolve
from afterbert.recipes.recipe import Recipe
from afterbert.training.config import LargerBatch, LongRows
from afterbert.training.run_length import rates_of


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


def test_rows_are_long_at_the_end_of_a_run_and_nowhere_else() -> None:
    """A pure function of the step: a feed that is asked for one step alone gives the same rows."""
    recipe = replace(tiny_recipe("bert-mlm", steps=10), long_rows=LongRows(64, 0.2))
    feed = feed_of(recipe)
    assert feed.lasts(10) == ["stages of the rows: rows of 32 pieces (steps 1 to 8), rows of 64 (steps 9 to 10)"]
    steps = [feed.step(number)[0] for number in range(10)]
    longest = [batch.arrays["input_ids"].shape[1] for batch in steps]
    assert max(longest[:8]) == 32 and min(longest[8:]) > 32
    epochs = [feed.epoch_at(number) for number in range(11)]
    assert epochs == sorted(epochs) and epochs[8] > epochs[7]
    alone = feed_of(recipe)
    alone.lasts(10)
    assert (alone.step(9)[0].row_keys == steps[9].row_keys).all()
    rates = rates_of(feed, flops_per_step=None, timing=None)
    plain = rates_of(feed_of(replace(recipe, long_rows=None)), flops_per_step=None, timing=None)
    assert rates.tokens_per_step > plain.tokens_per_step and rates.steps_per_epoch < plain.steps_per_epoch


def growing(recipe: Recipe, *stages: tuple[int, float]) -> Recipe:
    growth = tuple(LargerBatch(times, share) for times, share in stages)
    return replace(recipe, training=replace(recipe.training, batch_growth=growth))


def test_batches_grow_by_stages_of_the_run(tmp_path: Path) -> None:
    recipe = growing(tiny_recipe("bert-mlm", steps=10), (2, 0.2), (4, 0.2))
    rows = recipe.training.batch_size
    trained(recipe, tmp_path)
    told = f"{rows} rows (steps 1 to 6), {2 * rows} rows (steps 7 to 8), {4 * rows} rows (steps 9 to 10)"
    assert (0, f"stages of the batches: {told}") in notes_of(tmp_path)
    plain = feed_of(growing(recipe))
    read = [batch.num_tokens for number in range(18) for batch in plain.step(number)]
    assert RunFolder.open(tmp_path / "tiny").metrics.read()[-1]["step"] == 10
    steps = [one for one in RunFolder.open(tmp_path / "tiny").metrics.read() if one["kind"] == "step"]
    assert steps[-1]["tokens"] == sum(read)  # 6 steps of one batch, 2 of two, 2 of four
    assert recipe.pieces_per_step == pytest.approx(1.8 * rows * recipe.length)


def test_rates_count_batches_that_grow_by_their_share_of_the_run() -> None:
    plain = tiny_recipe("bert-mlm", steps=10)
    grown = growing(plain, (4, 0.25))
    before, after = (rates_of(feed_of(one), flops_per_step=None, timing=None) for one in (plain, grown))
    assert after.steps_per_epoch == pytest.approx(before.steps_per_epoch / 1.75)
    assert after.tokens_per_step == pytest.approx(1.75 * before.tokens_per_step, rel=0.1)  # of other rows
    both = replace(grown, long_rows=LongRows(64, 0.5))  # half of the long rows are read in larger batches
    feed = feed_of(both)
    feed.lasts(8)
    rows = [sum(len(batch.row_keys) for batch in feed.step(number)) for number in range(8)]
    assert rows == [plain.training.batch_size] * 6 + [4 * plain.training.batch_size] * 2
    assert [(share, rows / plain.training.batch_size) for share, rows, _ in both.batches] == [(0.5, 1), (0.5, 2.5)]


@pytest.mark.parametrize(
    ("name", "setting", "value", "said"),
    [
        ("bert-mlm", "training.batch_growth", "[{share: 0.5}, {share: 0.5}]", "leave no step to batch_size"),
        ("xlnet", "training.batch_growth", "[{share: 0.5}]", "training.order contiguous says which stand in a batch"),
        ("bert-mlm", "long_rows.length", "1024", "long_rows.length is 1024, but the model has 512 positions"),
        ("bert-mlm", "long_rows.length", "128", "rows are 128 long from the start"),
        ("xlnet", "long_rows.length", "512", "training.order contiguous remembers"),
    ],
)
def test_stages_that_cannot_be_are_refused(name: str, setting: str, value: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        resolve(name, overrides=[(setting, value)])


def test_berts_last_tenth_is_long_in_the_papers_size() -> None:
    assert resolve("bert", size="base").recipe.row_lengths == ((0.9, 128), (0.1, 512))
    assert resolve("bert-wwm", size="base").recipe.long_rows == LongRows()
    assert resolve("albert-sop", size="base").recipe.row_lengths == ((1.0, 512),)
