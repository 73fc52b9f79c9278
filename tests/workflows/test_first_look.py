"""What a text leaves nothing to ask, or one answer only, is told before the first step, with what helps."""

from __future__ import annotations

import pytest

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.probes.held_out import held_out_score
from afterbert.recipes import known, resolve
from afterbert.training.batch_sizes import BatchSizes
from afterbert.training.feed import Feed
from afterbert.workflows.first_look import first_look
from invented_rows import FakeSplit, split_of
from toy_corpus import VOCABULARY, toy_split

ORDINARY = VOCABULARY.ordinary_ids


def one_sentence_a_document(documents: int = 40) -> FakeSplit:
    """Each document is a sentence of 12 pieces."""
    return split_of([[[int(ORDINARY[(7 * d + n) % len(ORDINARY)]) for n in range(12)]] for d in range(documents)])


def looked(name: str, split: FakeSplit, *, length: int = 32, **overrides: str) -> list[str]:
    settings = [("length", str(length)), *((key.replace("__", "."), value) for key, value in overrides.items())]
    recipe = resolve(name, overrides=settings).recipe
    objective = recipe.objective
    feed = Feed(
        plan=lambda noise: objective.plan(split, length=length, vocabulary=VOCABULARY, noise=noise),
        pose=lambda plan, some, noise: objective.pose(plan, some, noise, vocabulary=VOCABULARY, length=length),
        noise=Noise(recipe.training.seed),
        batch_sizes=BatchSizes((4,)),
        views=recipe.training.views,
        order=recipe.training.order,
        course=objective.course(),
    )
    return first_look(objective, feed, VOCABULARY, seed=0)


@pytest.mark.parametrize("name", known())
def test_nothing_is_told_of_a_text_that_serves(name: str) -> None:
    split = toy_split(documents=60)
    split.told_languages = (split.languages + 1).astype("uint8")
    assert looked(name, split) == []


@pytest.mark.parametrize("name", ["bert", "bert-wwm", "unilm"])
def test_no_next_sentence(name: str) -> None:
    (told,) = looked(name, one_sentence_a_document())
    assert told.startswith("next_sentence has the same answer in all of the 40 rows looked at, so nothing is learned")
    assert "--documents paragraphs or file" in told and "recipe bert-mlm" in told


def test_no_order_of_segments() -> None:
    (told,) = looked("albert-sop", one_sentence_a_document())
    assert told.startswith("sentence_order asks nothing in any of the 40 rows looked at; ")


def test_a_task_that_asks_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="the task asks nothing of these texts: sentence_order asks nothing in any"):
        looked("find-sentence-order", one_sentence_a_document())


def test_held_out_rows_that_are_asked_nothing_have_no_figure() -> None:
    """It was a loss of 0.000."""
    recipe = resolve("find-sentence-order", overrides=[("length", "32")], size="tiny").recipe
    module = recipe.objective.build(recipe.model, VOCABULARY)
    assert held_out_score(module, recipe.objective, one_sentence_a_document(), VOCABULARY, length=32).figures == {}
    assert held_out_score(module, recipe.objective, toy_split(), VOCABULARY, length=32).figures["loss"] > 0


def test_a_unit_that_the_text_does_not_have_is_refused() -> None:
    split = toy_split()
    for plane in ("entity_start", "entity_inside"):
        split.planes[plane] = 0 * split.planes[plane]
    with pytest.raises(UserError, match="in_place asks nothing in any of the .* choose a unit that the texts have"):
        looked("bert-mlm", split, masking__unit="entity")


def test_a_plane_that_only_the_last_stage_needs_is_missed_before_the_first_step() -> None:
    split = toy_split()
    for plane in ("entity_start", "entity_inside"):
        del split.planes[plane]
    split.add()
    with pytest.raises(UserError, match=r"needs the plane 'entity_start'.*--add-plane entity"):
        looked("ernie", split)


def test_a_single_label_among_a_few_rows_is_no_news() -> None:
    assert looked("bert", one_sentence_a_document(documents=5)) == []
