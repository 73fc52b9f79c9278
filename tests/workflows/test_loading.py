"""A model is found by one rule, whatever its run has come to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.cli.main import run
from afterbert.interop.loading import load_model
from afterbert.workflows.loading import load_model_or_checkpoint

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "the",
    "mat",
    "while",
    "a",
    "hedgehog",
    "looked",
    "at",
    "the",
    "old",
    "grey",
    "dog",
    "for",
    "some",
    "time",
]
TEXT = "\n\n".join(" ".join(WORDS[(7 * n + 3 * m * m) % 17] for m in range(12)) + f" {n} ." for n in range(120))


def test_a_run_without_a_model_yet_gives_its_newest_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    words = ["--size", "tiny", "--name", "mine", "--training.precision", "fp32", "--tokenizer.vocab_size", "300"]
    assert run(["pretrain", "text.txt", "--budget", "3steps", *words]) == 0
    finished = load_model("runs/mine")
    assert load_model_or_checkpoint("runs/mine").notes == finished.notes == ()
    shutil.rmtree("runs/mine/model")
    with pytest.raises(UserError, match="is a run that has not finished; go on with"):
        load_model("runs/mine")
    found = load_model_or_checkpoint("runs/mine")
    assert found.notes == ("the run has not finished; this is its checkpoint of step 3",)
    assert found.weights.keys() == finished.weights.keys() and found.has_lm_head
    assert found.tokenizer.digest == finished.tokenizer.digest
    for part, state in finished.weights.items():
        assert all(torch.equal(found.weights[part][name], tensor) for name, tensor in state.items())
