"""Permutation LM: who sees whom, reading backwards, and the memory that row slots carry from step to step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.models.encoder import Encoder
from afterbert.models.permutation import Permutation
from afterbert.objectives import Batch
from afterbert.objectives.layer_drop import LayerDrop
from afterbert.objectives.permutation_lm import PermutationLM
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.corruptions.keep import Keep
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.permutation_tail import PermutationTail
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from toy_corpus import LENGTH, NOISE, VOCABULARY, built, gradients, posed, tensors, toy_split

TINY = Permutation(hidden_size=32, intermediate_size=48, max_position_embeddings=64)
TASK = Pretext(Packed(), (Edit(PermutationTail(context=4), Keep()),), (InPlace(),), Sight(kinds=("permutation",)))
ROWS = [0, 1, 2, 3]


def with_slots(batch: Batch, slots: list[int], step: int = 0) -> dict[str, torch.Tensor]:
    """The batch as the rows of these slots in a step, which go on behind those of the step before."""
    steps = torch.full((len(slots),), step)
    return tensors(batch) | {"row_slots": torch.tensor(slots), "row_steps": steps, "row_goes_on": steps > 0}


def test_an_answer_sees_earlier_ranks_and_never_itself() -> None:
    objective = PermutationLM(TASK)
    module, batch = built(objective, TINY).eval(), posed(objective, [0])
    arrays = tensors(batch)
    vectors = module.backbone.embeddings.token(arrays["input_ids"]).detach().requires_grad_()
    module.backbone.embeddings._table = (lambda ids: vectors,)
    logits, rank = module.predict(arrays), arrays["visible_rank"][0]
    places = arrays["query_positions"][0]
    assert len(set(rank[places].tolist())) == len(places) > 4
    for at, place in enumerate(places.tolist()):
        (found,) = torch.autograd.grad(logits[at].square().sum(), vectors, retain_graph=True)
        assert torch.equal(found[0].abs().sum(-1) > 0, rank < rank[place])


def test_micro_batches_and_batch_of_one() -> None:
    objective = PermutationLM(TASK)
    module = built(objective, TINY)
    whole = gradients(module, [posed(objective, ROWS)])
    parts = gradients(module, [posed(objective, some) for some in ([0], [1, 2], [3])])
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=1e-7, rtol=1e-6)
    alone = torch.cat([module.predict(tensors(posed(objective, [row]))) for row in ROWS])
    torch.testing.assert_close(module.predict(tensors(posed(objective, ROWS))), alone, atol=1e-8, rtol=1e-8)


def test_a_row_of_one_piece_and_odd_lengths() -> None:
    objective = PermutationLM(replace(TASK, pairing=Packed(bounds="keep")))
    for length in (8, 9, 15):
        plan = objective.plan(toy_split(), length=length, vocabulary=VOCABULARY, noise=NOISE)
        batch = objective.pose(plan, np.arange(len(plan)), NOISE, vocabulary=VOCABULARY, length=length)
        assert torch.isfinite(built(objective, TINY)(tensors(batch))["permuted"])


def test_without_memory_the_direction_of_reading_changes_nothing() -> None:
    objective = PermutationLM(TASK, reads_both_ways=True)
    module = built(objective, TINY).eval()
    plan = objective.plan(toy_split(), length=LENGTH, vocabulary=VOCABULARY, noise=NOISE)
    last = len(plan) - 1
    assert len(plan) == 2 * len(
        PermutationLM(TASK).plan(toy_split(), length=LENGTH, vocabulary=VOCABULARY, noise=NOISE)
    )
    batch = posed(objective, [last])
    assert batch.row_keys[0] == ~posed(objective, [0]).row_keys[0], "the same text, with other noise"
    arrays = tensors(batch)
    assert arrays["position_ids"][0].tolist() == list(range(LENGTH - 1, -1, -1))
    forward = {
        **arrays,
        "input_ids": arrays["input_ids"].flip(1),
        "visible_rank": arrays["visible_rank"].flip(1),
        "position_ids": arrays["position_ids"].flip(1),
        "query_positions": LENGTH - 1 - arrays["query_positions"],
    }
    assert torch.equal(forward["input_ids"], tensors(posed(objective, [0]))["input_ids"])
    torch.testing.assert_close(module.predict(arrays), module.predict(forward), atol=1e-9, rtol=1e-9)


def test_targets_of_a_row_read_backwards_are_the_pieces_that_stand_there() -> None:
    objective = PermutationLM(replace(TASK, pairing=Packed(bounds="keep")), reads_both_ways=True)
    plan = objective.plan(toy_split(), length=LENGTH, vocabulary=VOCABULARY, noise=NOISE)
    numbers = np.arange(len(plan))
    arrays = objective.pose(plan, numbers, NOISE, vocabulary=VOCABULARY, length=LENGTH).arrays
    row, query = np.divmod(arrays["chosen"], arrays["query_positions"].shape[1])
    places = arrays["query_positions"][row, query]
    assert np.array_equal(arrays["input_ids"][row, places], arrays["target_ids"])
    assert (np.diff(places)[np.diff(row) == 0] > 0).all()


def test_each_slot_remembers_its_own_row() -> None:
    objective, architecture = PermutationLM(TASK), replace(TINY, mem_len=LENGTH)
    module = built(objective, architecture)
    assert not module.carried_state()
    module.predict(with_slots(posed(objective, [0, 1]), [0, 1]))
    after = module.predict(with_slots(posed(objective, [4, 5]), [1, 0], 1)).detach()
    expected = []
    for first, second in ((1, 4), (0, 5)):
        alone = built(objective, architecture)
        alone.predict(with_slots(posed(objective, [first]), [0]))
        expected.append(alone.predict(with_slots(posed(objective, [second]), [0], 1)).detach())
    torch.testing.assert_close(after, torch.cat(expected), atol=1e-9, rtol=1e-9)
    without = built(objective, TINY).predict(tensors(posed(objective, [4, 5]))).detach()
    assert (after - without).abs().max() > 1e-4, "what is remembered matters"


def test_micro_batches_do_not_change_what_is_remembered() -> None:
    objective, architecture = PermutationLM(TASK), replace(TINY, mem_len=LENGTH)
    one, many = built(objective, architecture), built(objective, architecture)
    for step, rows in enumerate(([0, 1, 2, 3], [4, 5, 6, 7])):
        one.predict(with_slots(posed(objective, rows), [0, 1, 2, 3], step))
        many.predict(with_slots(posed(objective, rows[:1]), [0], step))
        many.predict(with_slots(posed(objective, rows[1:]), [1, 2, 3], step))
    torch.testing.assert_close(one.carried_state()["memory"], many.carried_state()["memory"], atol=1e-9, rtol=1e-9)


def test_a_kept_state_is_never_changed_and_can_be_put_back() -> None:
    objective = PermutationLM(TASK)
    module = built(objective, replace(TINY, mem_len=16))
    module.predict(with_slots(posed(objective, [0, 1]), [0, 1]))
    kept = dict(module.carried_state())
    copy = kept["memory"].clone()
    first = module.predict(with_slots(posed(objective, [2, 3]), [0, 1], 1)).detach()
    assert torch.equal(kept["memory"], copy) and kept["memory"].shape == (2, 2, 16, 32)
    assert not kept["memory"].requires_grad
    module.load_carried_state(kept)
    assert torch.equal(module.predict(with_slots(posed(objective, [2, 3]), [0, 1], 1)).detach(), first)


def test_held_out_rows_are_read_without_memory_and_leave_none() -> None:
    objective = PermutationLM(TASK)
    module = built(objective, replace(TINY, mem_len=16)).eval()
    batch = posed(objective, [0, 1])
    assert torch.equal(module.predict(with_slots(batch, [0, 1])), module.predict(tensors(batch)))
    assert not module.carried_state()


def test_what_does_not_fit_is_refused() -> None:
    objective = PermutationLM(TASK)
    with pytest.raises(UserError, match=r"set training\.order to contiguous"):
        built(objective, replace(TINY, mem_len=16))(tensors(posed(objective, [0])))
    objective.check_feed(replace(TINY, mem_len=16), order="contiguous", views=None)
    objective.check_feed(TINY, order="shuffled", views=None)
    with pytest.raises(UserError, match=r"set training\.order to contiguous"):
        objective.check_feed(replace(TINY, mem_len=16), order="shuffled", views=None)
    with pytest.raises(UserError, match=r"set model\.type to permutation"):
        objective.check(Encoder())


def test_a_step_that_was_left_out_leaves_nothing_to_remember() -> None:
    """Its rows would be missing between what is remembered and what is read."""
    objective = PermutationLM(TASK)
    module, fresh = (built(objective, replace(TINY, mem_len=16)) for _ in range(2))
    module.predict(with_slots(posed(objective, [0, 1]), [0, 1]))
    after = module.predict(with_slots(posed(objective, [4, 5]), [0, 1], step=2)).detach()
    assert torch.equal(after, fresh.predict(with_slots(posed(objective, [4, 5]), [0, 1])).detach())


def test_layers_of_two_streams_are_not_dropped() -> None:
    with pytest.raises(UserError, match="two streams"):
        LayerDrop(PermutationLM(TASK)).build(TINY, VOCABULARY)
