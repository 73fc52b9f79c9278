"""The stateless noise is noise: even, without memory, the same for everybody."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from afterbert.base.noise import Noise, chance, mix

KEYS = np.arange(4000, dtype=np.uint64)


def ones(bits: np.ndarray) -> float:
    """z of the number of ones among all these bits."""
    count, total = int(np.bitwise_count(bits).sum()), bits.size * bits.itemsize * 8
    return float((count - total / 2) / np.sqrt(total / 4))


def chi_square(bits: np.ndarray) -> float:
    """z of the chi square of the bytes against all 256 being equally likely (255 degrees of freedom)."""
    counts = np.bincount(np.ascontiguousarray(bits).view(np.uint8).ravel(), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2 / expected).sum() - 255) / np.sqrt(2 * 255)


def draws(noise: Noise) -> dict[str, np.ndarray]:
    return {
        "keys": noise.bits(KEYS),
        "grid": noise.bits(KEYS[:200, None], np.arange(64)[None, :]),
        "words": noise.words(KEYS[:200], 128),
        "views": np.concatenate([noise.seen_as(view).bits(KEYS[:50]) for view in range(80)]),
        "streams": np.concatenate([noise.of(str(stream)).bits(KEYS[:50]) for stream in range(80)]),
        "seeds": np.concatenate([Noise(seed).bits(KEYS[:50]) for seed in range(80)]),
        "far keys": noise.bits(KEYS << np.uint64(52)),
    }


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_bits_are_even(seed: int) -> None:
    for name, bits in draws(Noise(seed, "test")).items():
        assert abs(ones(bits)) < 4, name
        assert abs(chi_square(bits)) < 4, name


def test_neighbours_have_nothing_in_common() -> None:
    """Each bit of the difference between neighbouring keys, positions, views, halves is even too."""
    noise = Noise(3)
    grid = noise.bits(KEYS[:1000, None], np.arange(8)[None, :])
    words = noise.words(KEYS[:1000], 8)
    for one, other in (
        (grid[1:], grid[:-1]),
        (grid[:, 1:], grid[:, :-1]),
        (grid, noise.seen_as(1).bits(KEYS[:1000, None], np.arange(8)[None, :])),
        (words[:, ::2], words[:, 1::2]),
    ):
        differing = one ^ other
        width = one.itemsize * 8
        per_bit = [int(((differing >> one.dtype.type(b)) & one.dtype.type(1)).sum()) for b in range(width)]
        z = (np.array(per_bit) - differing.size / 2) / np.sqrt(differing.size / 4)
        assert np.abs(z).max() < 4.5


def test_a_number_depends_on_its_own_place_only() -> None:
    noise = Noise(5, "a")
    grid = noise.bits(KEYS[:20, None], np.arange(30)[None, :])
    assert (noise.bits(KEYS[7:3:-1, None], np.array([[29, 4]])) == grid[7:3:-1, [29, 4]]).all()
    words = noise.words(KEYS[:20], 31)
    assert (noise.words(KEYS[5:6], 8) == words[5:6, :8]).all()
    assert words.dtype == np.uint32 and words.shape == (20, 31)
    assert noise.words(KEYS[:0], 5).shape == (0, 5) and noise.words(KEYS[:2], 0).shape == (2, 0)


def test_known_numbers_stay() -> None:
    """Runs of other days must find the same noise."""
    noise = Noise(7).of("select").seen_as(2)
    assert [int(i) for i in noise.bits(np.array([0, 1], dtype=np.uint64))] == [
        6492139834298945451,
        17069250019707802177,
    ]
    assert noise.words(np.array([3], dtype=np.uint64), 3)[0].tolist() == [3241991573, 571181329, 3671068600]
    assert noise.permutation(6, np.arange(6)).tolist() == [5, 2, 3, 0, 4, 1]


def test_mix_is_a_bijection_and_leaves_its_argument() -> None:
    counters = np.arange(100_000, dtype=np.uint64)
    assert len(np.unique(mix(counters))) == 100_000
    assert (counters == np.arange(100_000)).all()
    assert mix(np.uint64(5)).shape == (1,)


def test_uniform_and_integers() -> None:
    noise = Noise(11)
    drawn = noise.uniform(KEYS[:, None], np.arange(10)[None, :])
    assert drawn.min() >= 0 and drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=4.5 / np.sqrt(12 * drawn.size))
    assert np.bincount((drawn * 16).astype(int).ravel()).min() > drawn.size / 16 * 0.92
    high = np.arange(1, 4001)
    whole = noise.integers(high, KEYS)
    assert whole.dtype == np.int64 and (whole >= 0).all() and (whole < high).all()


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.15, 0.8, 1.0])
def test_chance(rate: float) -> None:
    hit = Noise(2).words(KEYS, 25) < chance(rate)
    assert hit.mean() == pytest.approx(rate, abs=4.5 * np.sqrt(rate * (1 - rate) / hit.size) + 1e-12)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 64, 65, 4096, 4097, 70_000])
def test_permutation_is_one(size: int) -> None:
    order = Noise(1).permutation(size, np.arange(size))
    assert order.dtype == np.int64 and sorted(order.tolist()) == list(range(size))
    some = np.array([size - 1, 0]) if size else np.zeros(0, dtype=np.int64)
    assert Noise(1).permutation(size, some).tolist() == order[some].tolist()
    if size >= 64:
        assert order.tolist() != list(range(size))
        assert order.tolist() != Noise(2).permutation(size, np.arange(size)).tolist()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 64, 4096, 4097, 70_000])
def test_order_is_one(size: int) -> None:
    order = Noise(1).order(size)
    assert order.dtype == np.int64 and sorted(order.tolist()) == list(range(size))
    if size <= 4096:
        assert order.tolist() == Noise(1).permutation(size, np.arange(size)).tolist()
    if size >= 64:
        assert order.tolist() != Noise(2).order(size).tolist()


def whole_permutation(noise: Noise, size: int) -> np.ndarray:
    return noise.permutation(size, np.arange(size))


def test_every_place_is_equally_likely_in_a_small_permutation() -> None:
    where = np.array([Noise(seed).permutation(7, np.arange(7)) for seed in range(1400)])
    for column in where.T:
        assert np.abs(np.bincount(column, minlength=7) - 200).max() < 4.5 * np.sqrt(200)


@pytest.mark.parametrize("drawn", [Noise.order, whole_permutation])
@pytest.mark.parametrize("size", [5000, 100_000])
def test_large_permutations_mix(size: int, drawn: Callable[[Noise, int], np.ndarray]) -> None:
    """Every sixteenth of the numbers lands evenly in every sixteenth of the places, neighbours land apart."""
    order = np.concatenate([drawn(Noise(seed), size) for seed in range(4)])
    begin = np.tile(np.arange(size), 4)
    table = np.histogram2d(begin, order, bins=16, range=[[0, size], [0, size]])[0]
    expected = 4 * size / 256
    assert np.abs(table - expected).max() < 4.5 * np.sqrt(expected)
    steps = np.abs(np.diff(order.reshape(4, size), axis=1))
    assert steps.mean() == pytest.approx(size / 3, rel=0.02)
