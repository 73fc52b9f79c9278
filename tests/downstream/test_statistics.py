"""Bootstrap intervals: deterministic, of the right width, paired where it matters."""

import numpy as np
import pytest

from afterbert.base.noise import Noise
from afterbert.downstream.figures.statistics import interval, over_seeds, paired_interval
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.metrics.f1 import F1
from afterbert.downstream.metrics.pearson import Pearson


def guesses(share: float, number: int, seed: int) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    truths = random.integers(0, 2, number)
    right = random.random(number) < share
    return [str(t if r else 1 - t) for t, r in zip(truths, right)], [str(t) for t in truths]


def test_an_interval_for_accuracy_is_as_wide_as_the_binomial_one():
    predictions, truths = guesses(0.8, 1000, seed=1)
    found = interval(Accuracy(), [predictions], truths, noise=Noise(0), num_resamples=2000)
    half = 1.96 * np.sqrt(found.estimate * (1 - found.estimate) / 1000)
    assert found.high - found.estimate == pytest.approx(half, rel=0.1)
    assert found.estimate - found.low == pytest.approx(half, rel=0.1)


def test_resamples_are_what_scoring_the_drawn_examples_gives():
    """The matrix product over statistics equals drawing examples and scoring them anew, for a metric that is
    no mean."""
    random = np.random.default_rng(3)
    true = random.normal(size=40)
    predicted = true + random.normal(size=40)
    noise = Noise(5)
    found = interval(Pearson(), [predicted.tolist()], true.tolist(), noise=noise, num_resamples=50, level=0.5)
    drawn = noise.of("examples").integers(40, np.arange(50)[:, None], np.arange(40)[None])
    slow = [np.corrcoef(predicted[row], true[row])[0, 1] for row in drawn]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.25, 0.75])))


def test_the_same_noise_gives_the_same_interval_and_another_seed_another():
    predictions, truths = guesses(0.7, 200, seed=2)
    once = interval(F1("macro"), [predictions], truths, noise=Noise(1))
    assert once == interval(F1("macro"), [predictions], truths, noise=Noise(1))
    assert once != interval(F1("macro"), [predictions], truths, noise=Noise(2))


def test_pairing_sees_a_small_steady_difference_that_two_intervals_overlap_on():
    predictions, truths = guesses(0.7, 1000, seed=4)
    wrong = [i for i, (p, t) in enumerate(zip(predictions, truths)) if p != t]
    better = list(predictions)
    for i in wrong[:20]:
        better[i] = truths[i]
    found = paired_interval(Accuracy(), [better], [predictions], truths, noise=Noise(0))
    assert found.estimate == pytest.approx(0.02)
    assert 0 < found.low < 0.02 < found.high < 0.04
    alone = [interval(Accuracy(), [p], truths, noise=Noise(0)) for p in (better, predictions)]
    assert alone[0].low < alone[1].high
    mirrored = paired_interval(Accuracy(), [predictions], [better], truths, noise=Noise(0))
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_no_difference_is_no_difference():
    predictions, truths = guesses(0.7, 300, seed=5)
    found = paired_interval(Accuracy(), [predictions], [predictions], truths, noise=Noise(0))
    assert (found.estimate, found.low, found.high, found.above) == (0.0, 0.0, 0.0, 0.5)


def test_seeds_that_disagree_widen_the_interval():
    truths = ["1"] * 400
    good, bad = ["1"] * 380 + ["0"] * 20, ["1"] * 300 + ["0"] * 100
    steady = interval(Accuracy(), [good, good], truths, noise=Noise(0))
    shaky = interval(Accuracy(), [good, bad], truths, noise=Noise(0))
    assert shaky.estimate == pytest.approx((380 + 300) / 800)
    assert shaky.high - shaky.low > 4 * (steady.high - steady.low)


def test_large_sets_are_resampled_in_portions_with_the_same_result(monkeypatch):
    predictions, truths = guesses(0.6, 100, seed=6)
    whole = interval(Accuracy(), [predictions], truths, noise=Noise(0))
    monkeypatch.setattr("afterbert.downstream.figures.statistics._CELLS_AT_ONCE", 700)
    assert interval(Accuracy(), [predictions], truths, noise=Noise(0)) == whole


def test_spread_over_seeds():
    spread = over_seeds([0.1, 0.2, 0.6])
    assert (spread.mean, spread.deviation) == pytest.approx((0.3, np.std([0.1, 0.2, 0.6], ddof=1)))
