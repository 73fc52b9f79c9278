"""Which rows form step n: a pure function, the same for any workers, processes, micro-batches or point of resume."""

import itertools
import threading
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_run import ToyPlan, pose

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.training.batch_sizes import BatchSizes
from afterbert.training.distribution.processes import SingleProcess
from afterbert.training.feed import Feed, Prefetch


def feed(size=27, *, batch_size=8, views=None, order="shuffled", grown=(), shares=(1.0,), plan=None, pose=pose, seed=3):
    return Feed(
        plan=plan or (lambda noise: ToyPlan(size + noise.view % 3, Noise(1))),
        pose=pose,
        noise=Noise(seed),
        batch_sizes=BatchSizes((batch_size, *grown), shares),
        views=views,
        order=order,
    )


def keys(batches):
    return [int(key) for batch in batches for key in batch.row_keys]


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other):
        assert a.counts == b.counts
        assert a.num_tokens == b.num_tokens
        assert a.arrays.keys() == b.arrays.keys()
        for name, array in a.arrays.items():
            np.testing.assert_array_equal(array, b.arrays[name])


def steps_of(source, first, *, workers, size=8):
    """The micro-batches of one step after another, prepared ahead."""
    with closing(Prefetch(source, workers=workers, processes=SingleProcess())) as ahead:
        for step in itertools.count(first):
            yield ahead.batches(step, size)


def first(steps, count):
    found = [batches for _, batches in zip(range(count), steps)]
    steps.close()
    return found


@settings(max_examples=30)
@given(size=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_every_epoch_holds_each_row_once(size, batch_size):
    """Also where epochs end inside batches, differ in length, or are shorter than a batch."""
    source = feed(size, batch_size=batch_size)
    lengths = [size + epoch % 3 for epoch in range(4)]
    steps = -(-sum(lengths) // batch_size)
    seen = [key for n in range(steps) for key in keys(source.step(n))]
    for length in lengths:
        assert sorted(seen[:length]) == list(range(length))
        seen = seen[length:]


def test_order_differs_from_epoch_to_epoch_and_seed_to_seed():
    orders = [keys(feed(30, batch_size=30, views=1, seed=seed).step(n)) for seed in (1, 2) for n in range(3)]
    assert len({tuple(order) for order in orders}) == 6
    assert all(sorted(order) == list(range(30)) for order in orders)


@pytest.mark.parametrize(("views", "same_masks"), [(1, {(0, 1), (0, 2), (1, 2)}), (2, {(0, 2)}), (None, set())])
def test_views(views, same_masks):
    """The masks of a row are those of its view: epoch mod views."""
    source = feed(batch_size=27, views=views, plan=lambda noise: ToyPlan(27, Noise(1)))

    def masks(epoch):
        batch = source.step(epoch)[0]
        at = np.argsort(batch.row_keys)
        return [row.tolist() for row in batch.arrays["piece_ids"][at]]

    found = [masks(epoch) for epoch in range(3)]
    equal = {(a, b) for a in range(3) for b in range(a + 1, 3) if found[a] == found[b]}
    assert equal == same_masks


def test_a_row_has_the_masks_of_its_own_epoch_where_two_meet_in_a_step():
    source = feed(27, batch_size=8)
    batches = source.step(3)
    assert [len(batch.row_keys) for batch in batches] == [3, 5]
    alone = pose(ToyPlan(28, Noise(1)), batches[1].row_keys.astype(np.int64), Noise(3).seen_as(1))
    same([batches[1]], [alone])


@settings(max_examples=30)
@given(step=st.integers(0, 30), micro=st.integers(1, 9), size=st.integers(1, 30))
def test_micro_batches_are_the_batch_in_pieces(step, micro, size):
    source = feed(size)
    whole, pieces = source.step(step), source.step(step, micro_batch_size=micro)
    assert keys(pieces) == keys(whole)
    assert all(len(piece.row_keys) <= micro for piece in pieces)
    for name in ("masked", "long"):
        assert sum(b.counts[name] for b in pieces) == sum(b.counts[name] for b in whole)


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_processes_share_the_same_rows(world_size):
    source = feed()
    for n in range(8):
        shares = [keys(source.step(n, rank=rank, world_size=world_size)) for rank in range(world_size)]
        assert [key for share in shares for key in share] == keys(source.step(n))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_change_nothing(workers):
    alone = first(steps_of(feed(), 2, workers=0, size=3), 9)
    together = first(steps_of(feed(), 2, workers=workers, size=3), 9)
    for a, b in zip(alone, together):
        same(a, b)
    for n, batches in enumerate(alone):
        same(batches, feed().step(2 + n, micro_batch_size=3))


def test_known_epochs_need_no_plan():
    """A resume plans the view it is in, not those before."""
    planned = []

    def plan(noise):
        planned.append(noise.view)
        return ToyPlan(27 + noise.view % 3, Noise(1))

    source = feed(plan=plan)
    expected = keys(source.step(30))
    assert sorted(set(planned)) == list(range(9))
    planned.clear()
    resumed = feed(plan=plan)
    resumed.epochs.recall(source.epochs.known)
    assert keys(resumed.step(30)) == expected
    assert planned == [8]


def test_one_plan_a_view_for_all_workers():
    planned = []

    def plan(noise):
        planned.append(noise.view)
        return ToyPlan(1000, Noise(1))

    first(steps_of(feed(views=1, plan=plan), 0, workers=4), 50)
    assert planned == [0]


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("error", [UserError("no word plane"), ValueError("a bug"), MemoryError()])
def test_errors_come_out_at_their_step(workers, error):
    def broken(plan, numbers, noise):
        batch = pose(plan, numbers, noise)
        if 5 in batch.row_keys:
            raise error
        return batch

    bad = next(n for n in range(9) if 5 in keys(feed().step(n)))
    steps = steps_of(feed(pose=broken), 0, workers=workers)
    for n in range(bad):
        assert keys(next(steps)) == keys(feed().step(n))
    with pytest.raises(type(error)) as raised:
        next(steps)
    assert raised.value is error
    assert f"step {bad + 1}" in raised.value.__notes__[-1]


def test_closing_ends_the_threads():
    steps = steps_of(feed(), 0, workers=2)
    next(steps)
    assert any(thread.name.startswith("feed") for thread in threading.enumerate())
    steps.close()
    assert not any(thread.name.startswith("feed") for thread in threading.enumerate())


@pytest.mark.timeout(10)
def test_no_rows_is_an_error_and_one_row_is_enough():
    with pytest.raises(UserError, match="no rows"):
        feed(plan=lambda noise: ToyPlan(0, Noise(1))).step(0)
    source = feed(plan=lambda noise: ToyPlan(1, Noise(1)))
    assert keys(source.step(5)) == [0] * 8


@pytest.mark.parametrize("size", [8, 27, 64, 1000])
def test_contiguous_order(size):
    """Slot i of a batch continues slot i of the batch before; what an epoch leaves out changes."""
    source = feed(order="contiguous", plan=lambda noise: ToyPlan(size, Noise(1)))
    turns = max(1, size // 8)
    left_out = []
    for epoch in range(3):
        rows = np.array([keys(source.step(epoch * turns + turn)) for turn in range(turns)])
        np.testing.assert_array_equal(rows[1:], (rows[:-1] + 1) % size)
        assert len(set(rows.ravel().tolist())) == rows.size
        left_out.append(set(range(size)) - set(rows.ravel().tolist()))
        assert len(left_out[-1]) == size - turns * 8
    if size == 27:
        assert len(set(map(frozenset, left_out))) > 1


@pytest.mark.parametrize("size", [1, 3, 7])
def test_contiguous_order_of_a_tiny_corpus_repeats_rows(size):
    source = feed(order="contiguous", plan=lambda noise: ToyPlan(size, Noise(1)))
    for n in range(5):
        assert set(keys(source.step(n))) == set(range(size))


@pytest.mark.parametrize("size", [8, 27, 64, 1000])
def test_neighbours_stand_in_one_batch(size):
    """The rows of a batch follow each other; batches come in another order, and begin elsewhere, each epoch."""
    source = feed(order="neighbours", plan=lambda noise: ToyPlan(size, Noise(1)))
    turns = max(1, size // 8)
    epochs = [[keys(source.step(epoch * turns + turn)) for turn in range(turns)] for epoch in range(3)]
    for batches in epochs:
        rows = np.array(batches)
        np.testing.assert_array_equal(rows[:, 1:], (rows[:, :-1] + 1) % size)
        assert len(set(rows.ravel().tolist())) == rows.size
    if size == 1000:
        starts = [[batch[0] for batch in batches] for batches in epochs]
        assert starts[0] != sorted(starts[0])
        assert {start % 8 for start in starts[0]} != {start % 8 for start in starts[1]}


@settings(max_examples=30)
@given(total=st.integers(1, 60), world=st.integers(1, 8), shares=st.tuples(*[st.floats(0.1, 5)] * 3))
def test_growing_batches_go_on_where_the_step_before_ended(total, world, shares):
    """The same rows in the same order as without growth, also for several processes and when asked out of turn."""
    source = feed(grown=(16, 40), shares=shares)
    source.lasts(total)
    steps = [source.step(number) for number in reversed(range(total))][::-1]
    assert {len(keys(step)) for step in steps} <= {8, 16, 40}
    assert [len(keys(step)) for step in steps] == sorted(len(keys(step)) for step in steps)
    seen = [key for step in steps for key in keys(step)]
    assert seen == [key for number in range(len(seen) // 8) for key in keys(feed().step(number))]
    apart = [[source.step(number, rank=rank, world_size=world) for rank in range(world)] for number in range(total)]
    assert [key for step in apart for part in step for key in keys(part)] == seen
    assert source.rows_before(total) == len(seen)
    assert len(seen) / total == pytest.approx(source.batch_sizes.mean(), abs=100 / total)  # each stage begins on a step
    ends = list(itertools.accumulate(len(keys(step)) for step in steps))
    assert [source.epoch_after(number) for number in range(total)] == [source.epochs.of_row(end - 1) for end in ends]


def test_contiguous_order_names_the_slots():
    source = feed(order="contiguous", plan=lambda noise: ToyPlan(64, Noise(1)))
    pieces = source.step(1, micro_batch_size=3, rank=1, world_size=2)
    assert [batch.arrays["row_slots"].tolist() for batch in pieces] == [[4, 5, 6], [7]]
    assert "row_slots" not in feed().step(0)[0].arrays
