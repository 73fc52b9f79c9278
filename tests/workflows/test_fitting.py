"""What a time pays for: the rule by hand, and measured on a store."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afterbert.recipes.files import known, sizes_of
from afterbert.recipes.recipe import resolve
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.training.batch_sizes import BatchSizes
from afterbert.workflows.fitting import MANY_STEPS, MOST_STEPS, PIECES_PER_PARAMETER, Choice, fit, measured_choice
from afterbert.workflows.gallery import store_of_text

SIZES = {"tiny": (1_000_000, 20_000.0), "mini": (4_000_000, 8_000.0), "small": (16_000_000, 2_000.0)}


SIXTEEN = BatchSizes((16,))


def split(pieces: int = 10_000_000, documents: int = 10_000) -> SimpleNamespace:
    return SimpleNamespace(num_pieces=pieces, num_documents=documents)


def fitted(seconds: float, **text: int):
    return fit(
        list(SIZES),
        lambda name: Choice(name, *SIZES[name]),
        split(**text),
        seconds=seconds,
        length=128,
        batches=SIXTEEN,
    )


@pytest.mark.parametrize("seconds", [60, 1000, 9_999, 10_001, 159_999, 160_001])
def test_the_largest_size_that_reads_enough(seconds: int) -> None:
    enough = [name for name, (size, speed) in SIZES.items() if speed * seconds >= PIECES_PER_PARAMETER * size]
    assert fitted(seconds).size == (enough[-1] if enough else "tiny")


def test_larger_sizes_are_not_measured_once_one_is_too_large() -> None:
    asked = []

    def measured(name: str) -> Choice:
        asked.append(name)
        return Choice(name, *SIZES[name])

    found = fit(list(SIZES), measured, split(), seconds=60, length=128, batches=SIXTEEN)
    assert asked == ["tiny", "mini"]
    assert "not mini: 480.0 thousand pieces" in found.reasons[-1]


@pytest.mark.parametrize("hours", [0.1, 1, 3, 10, 40])
def test_the_batch_keeps_the_number_of_steps_in_bounds(hours: float) -> None:
    found = fitted(3600 * hours)
    settings = dict(found.settings)
    batch = int(settings.get("training.batch_size", 16))
    before = SIZES[found.size][1] * 3600 * hours / (16 * 128)
    assert ("training.batch_growth" in settings) == (before > MANY_STEPS)
    steps = before * 16 / batch / (1.8 if before > MANY_STEPS else 1)
    assert steps <= MOST_STEPS
    assert batch == 16 or steps > MOST_STEPS / 2


def test_batches_that_are_the_users_or_stand_in_an_order_do_not_grow() -> None:
    def grown(*given: str, can_grow: bool = True) -> bool:
        measured = Choice("tiny", *SIZES["tiny"])
        rows = {"length": 128, "batches": SIXTEEN, "can_grow": can_grow, "given": given}
        return "training.batch_growth" in dict(
            fit(["tiny"], lambda _: measured, split(), seconds=3600, **rows).settings
        )

    assert grown() and grown("length")
    assert not grown("training.batch_size") and not grown("training.batch_growth") and not grown(can_grow=False)


@pytest.mark.parametrize(("documents", "length"), [(10_000_000 // 40, "64"), (10_000_000 // 90, None), (5, None)])
def test_rows_are_no_longer_than_documents(documents: int, length: str | None) -> None:
    assert dict(fitted(60, documents=documents).settings).get("length") == length


def test_what_the_user_says_is_not_fitted_nor_spoken_of() -> None:
    split_ = split(documents=10_000_000 // 40)

    def found(*given: str):
        measured = Choice("tiny", *SIZES["tiny"])
        return fit(["tiny"], lambda _: measured, split_, seconds=1e6, length=128, batches=SIXTEEN, given=given)

    ours = {"length", "training.batch_size", "training.batch_growth"}
    assert set(dict(found().settings)) == ours
    for given in (["length"], ["training.batch_size", "training.batch_growth"], [*ours]):
        left = ours - set(given)
        assert set(dict(found(*given).settings)) == left
        assert len(found(*given).reasons) == 1 + len(left)


def test_a_size_that_needs_too_much_memory_is_too_large() -> None:
    speeds = {"tiny": 1e6, "mini": 0.0}
    found = fit(
        ["tiny", "mini", "small"],
        lambda name: Choice(name, 1_000_000, speeds[name]),
        split(),
        seconds=600,
        length=128,
        batches=SIXTEEN,
    )
    assert found.size == "tiny"
    assert found.reasons[1] == "not mini: memory runs out with a batch of 16 rows"


def test_the_sizes_of_recipes_rise() -> None:
    for name in known():
        counts = [resolve(name, size=size).recipe.model.num_parameters(8000) for size in sizes_of(name)]
        assert counts == sorted(counts) and len(counts) >= 2, name


def test_a_size_is_measured_once(tmp_path: Path) -> None:
    text = "the cat sat on the mat . " * 40
    tokenizer, kept = tmp_path / "tokenizer", tmp_path / "runs" / "speed.json"
    WordPiece(vocab_size=60, min_frequency=1, lowercase=True).make([text], corpus_bytes=len(text)).save(tokenizer)
    resolved = resolve("laptop", size="tiny")
    with store_of_text(text, tokenizer) as store:
        before = torch.random.get_rng_state()
        first = measured_choice(resolved, store, device=torch.device("cpu"), kept=kept)
        assert torch.equal(before, torch.random.get_rng_state())
        assert first == measured_choice(resolved, store, device=torch.device("cpu"), kept=kept)
        module = resolved.recipe.objective.build(resolved.recipe.model, store.vocabulary)
    assert first.pieces_per_second > 0
    assert first.parameters == sum(parameter.numel() for parameter in module.parameters())


def test_memory_that_runs_out_is_no_speed_and_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "the cat sat on the mat . " * 40
    WordPiece(vocab_size=60, min_frequency=1, lowercase=True).make([text], corpus_bytes=len(text)).save(
        tmp_path / "tokenizer"
    )
    resolved, kept = resolve("laptop", size="tiny"), tmp_path / "speed.json"

    def backward(self: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("no memory")

    with store_of_text(text, tmp_path / "tokenizer") as store:
        with monkeypatch.context() as little:
            little.setattr(torch.Tensor, "backward", backward)
            found = measured_choice(resolved, store, device=torch.device("cpu"), kept=kept)
            assert found.pieces_per_second == 0
        found = measured_choice(resolved, store, device=torch.device("cpu"), kept=kept)
        assert found.pieces_per_second > 0
        in_bf16 = resolve("laptop", size="tiny", overrides=[("training.precision", "bf16")])
        measured_choice(in_bf16, store, device=torch.device("cpu"), kept=kept)
    assert len(json.loads(kept.read_text())) == 2
