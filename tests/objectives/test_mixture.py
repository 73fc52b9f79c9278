"""Mixtures: which rows are asked what, with what weight, on one backbone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.permutation import Permutation
from afterbert.nn.recurrence import Halting, Recurrence
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.stack import Stack
from afterbert.objectives import Objective
from afterbert.objectives.causal_lm import CausalLM
from afterbert.objectives.find_places import FindPlaces
from afterbert.objectives.masked_lm import MaskedLM
from afterbert.objectives.mixture import Member, Mixture
from afterbert.objectives.replaced_tokens import Generator, ReplacedTokens
from afterbert.pretext.answers.deleted import Deleted
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.answers.next import Next
from afterbert.pretext.corruptions.delete import Delete
from afterbert.pretext.corruptions.keep import Keep
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.staged import Staged
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from toy_corpus import LENGTH, NOISE, VOCABULARY, built, gradients, loss_of, posed, tensors, toy_split

TINY = Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48)
MASKED = MaskedLM(Pretext(Packed(), (Edit(FixedCount(rate=0.3), Mask()),), (InPlace(),)))
CAUSAL = CausalLM(Pretext(Packed(), (Edit(All(), Keep()),), (Next(),), Sight(kinds=("causal",))))
DELETED = FindPlaces(Pretext(Packed(), (Edit(FixedCount(rate=0.2), Delete()),), (Deleted(),)))
REPLACED = ReplacedTokens(MASKED.pretext)
ROWS = [0, 1, 2, 3, 4, 5]


def mixture(how: str, **weights: float) -> Mixture:
    objectives: dict[str, Objective] = {"masked": MASKED, "causal": CAUSAL, "deleted": DELETED, "replaced": REPLACED}
    members = tuple(Member(name, objectives[name], weight=weight) for name, weight in weights.items())
    return Mixture(members, how=how)  # type: ignore[arg-type]


def test_rows_are_drawn_by_weight_whatever_the_batch() -> None:
    objective = mixture("drawn_by_row", masked=3, causal=1)
    plan = objective.plan(toy_split(60), length=LENGTH, vocabulary=VOCABULARY, noise=NOISE)
    drawn = []
    for view in range(40):
        noise = NOISE.seen_as(view)
        batch = objective.pose(plan, np.arange(len(plan)), noise, vocabulary=VOCABULARY, length=LENGTH)
        drawn.append(len(batch.arrays["masked/input_ids"]))
        assert len(batch.arrays["masked/input_ids"]) + len(batch.arrays["causal/input_ids"]) == len(plan)
    total = 40 * len(plan)
    assert abs(sum(drawn) / total - 0.75) < 4 * (0.75 * 0.25 / total) ** 0.5
    assert len(set(drawn)) > 1, "another view draws anew"


def test_micro_batches_do_not_change_the_step_even_if_a_member_gets_no_row() -> None:
    objective = mixture("drawn_by_row", masked=1, causal=1, deleted=1, replaced=1)
    module = built(objective, TINY)
    whole = gradients(module, [posed(objective, ROWS)])
    parts = gradients(module, [posed(objective, [row]) for row in ROWS])
    assert whole.keys() == parts.keys()
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-6, rtol=1e-5)


def test_a_member_asks_its_rows_as_it_would_alone() -> None:
    objective = mixture("drawn_by_row", masked=1, causal=1)
    batch = posed(objective, ROWS)
    mine = objective._drawn(
        objective.plan(toy_split(), length=LENGTH, vocabulary=VOCABULARY, noise=NOISE.of("plan")), np.array(ROWS), NOISE
    )[0]
    alone = posed(MASKED, np.array(ROWS)[mine].tolist())
    assert 0 < mine.sum() < len(ROWS)
    for key, array in alone.arrays.items():
        assert np.array_equal(batch.arrays[f"masked/{key}"], array), key
    assert batch.num_tokens == sum(posed(MASKED, [row]).num_tokens for row in ROWS)


def test_summed_asks_every_row_everything() -> None:
    objective = mixture("summed", masked=1, deleted=2.5)
    module, batch = built(objective, TINY), posed(objective, ROWS)
    own = {name: posed(each, ROWS) for name, each in (("masked", MASKED), ("deleted", DELETED))}
    expected = sum(
        weight * loss_of(module.members[name], [own[name]]) for name, weight in (("masked", 1), ("deleted", 2.5))
    )
    torch.testing.assert_close(loss_of(module, [batch]), expected)
    assert set(module.measure(tensors(batch))) == {
        "masked.masked_accuracy",
        "deleted.deleted_accuracy",
        "deleted.deleted_baseline",
    }


def test_drawn_losses_weigh_as_much_as_their_rows() -> None:
    module = built(mixture("drawn_by_row", masked=3, replaced=1), TINY)
    assert module.loss_weights == {"masked.masked": 0.75, "replaced.generator": 0.25, "replaced.replaced": 0.25 * 50}


def test_members_take_turns_in_the_course_of_the_run() -> None:
    members = (Member("masked", MASKED, weight=2), Member("causal", CAUSAL), Member("deleted", DELETED))
    objective = Mixture(members, how="in_turn")
    assert [stages.told(8) for stages in objective.course()] == [
        "stages of a mixture in_turn: masked (steps 1 to 4), causal (steps 5 to 6), deleted (steps 7 to 8)"
    ]
    module = built(objective, TINY)
    for progress, name in ((0.0, "masked"), (0.49, "masked"), (0.5, "causal"), (0.75, "deleted"), (1.0, "deleted")):
        noise = NOISE.at(progress)
        plan = objective.plan(toy_split(), length=LENGTH, vocabulary=VOCABULARY, noise=noise)
        batch = objective.pose(plan, np.array(ROWS), noise, vocabulary=VOCABULARY, length=LENGTH)
        assert {part.split(".")[0] for part in module(tensors(batch))} == {name}


def test_one_backbone_and_one_language_model_head() -> None:
    module = built(mixture("summed", masked=1, causal=1, deleted=1), TINY)
    assert all(member.backbone is module.backbone for member in module.members.values())
    assert module.members["masked"].lm_head is module.members["causal"].lm_head is module.lm_head
    names = [name for name, _ in module.named_parameters()]
    assert not [name for name in names if name.startswith("members") and "backbone" in name]
    assert set(module.saved_heads) == {"lm_head"}


def test_who_goes_through_stages() -> None:
    staged = MaskedLM(Pretext(Packed(), (Edit(Staged(), Mask()),), (InPlace(),)))
    inside = Mixture((Member("staged", staged), Member("causal", CAUSAL)))
    two_stage = ReplacedTokens(MASKED.pretext, generator=Generator(size=1, shares="none"), two_stage=0.25)
    assert [stages.starts for stages in two_stage.course()] == [(0.0, 0.25)]
    assert [stages.names for stages in inside.course()] == [stages.names for stages in staged.course()]
    assert staged.course()[0].names[1] == "fixed_count of phrase|word"
    assert MASKED.course() == mixture("summed", masked=1, causal=1).course() == ()
    with pytest.raises(UserError, match="cannot take turns; write each of its stages as a member"):
        Mixture((Member("staged", staged), Member("causal", CAUSAL)), how="in_turn")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="at least two members"):
        mixture("summed", masked=1)
    with pytest.raises(UserError, match="masked_lm needs a model that reads both ways"):
        mixture("summed", causal=1, masked=1).check(Decoder())
    with pytest.raises(UserError, match="another plain word"):
        Mixture((Member("a/b", MASKED), Member("c", CAUSAL)))
    with pytest.raises(UserError, match="another plain word"):
        Mixture((Member("a", MASKED), Member("a", CAUSAL)))
    nested = Mixture((Member("inner", mixture("summed", masked=1, causal=1)), Member("deleted", DELETED)))
    with pytest.raises(UserError, match="objective mixture cannot share its model"):
        nested.build(TINY, VOCABULARY)


def test_thinking_longer_costs_every_member_its_share() -> None:
    halting = replace(TINY, stack=Stack(sharing=ShareAll(), recurrence=Recurrence(halting=Halting(ponder_weight=0.5))))
    objective = mixture("drawn_by_row", masked=3, deleted=1)
    module, batch = built(objective, halting), posed(objective, ROWS)
    scores = module(tensors(batch))
    assert scores.keys() == batch.counts.keys() >= {"masked.ponder", "deleted.ponder"}
    assert module.loss_weights["masked.ponder"] == 0.75 * 0.5
    for name in ("masked", "deleted"):
        steps = float(scores[f"{name}.ponder"].detach()) / batch.counts[f"{name}.ponder"]
        assert 1 <= steps <= TINY.num_hidden_layers + 1


def test_operations_of_members_that_bring_a_model_of_their_own_or_read_in_turn() -> None:
    beside = REPLACED.flops_beside(TINY, 100, LENGTH)
    assert mixture("drawn_by_row", masked=3, replaced=1).flops_beside(TINY, 100, LENGTH) == beside / 4 > 0
    passes = mixture("summed", masked=3, replaced=1).flops_beside(TINY, 100, LENGTH)
    assert passes == beside + TINY.flops_per_token(100, LENGTH)


def test_a_mixture_has_no_memory() -> None:
    with pytest.raises(UserError, match="set model.mem_len to 0"):
        mixture("summed", masked=1, causal=1).check_feed(Permutation(mem_len=8), order="contiguous", views=None)
