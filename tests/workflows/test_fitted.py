"""Minutes without a size: pretrain chooses the size and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from afterbert.recipes import resolve
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.training.distribution.processes import SingleProcess
from afterbert.workflows import fitting
from afterbert.workflows.gallery import store_of_text
from afterbert.workflows.pretrain_request import PretrainRequest, fitted_to_budget, is_to_be_fitted
from afterbert.workflows.step_time import StepTime

TEXT = "the cat sat on the mat . the hedgehog looked at the cat for a while . " * 12


@pytest.mark.parametrize(
    ("request_", "is_left_to_us"),
    [
        (PretrainRequest(), True),
        (PretrainRequest(size="tiny"), False),
        (PretrainRequest(start="somewhere"), False),
        (PretrainRequest(overrides=(("model.hidden_size", "64"),)), False),
        (PretrainRequest(overrides=(("training.budget", "500steps"),)), False),
        (PretrainRequest(overrides=(("training.budget", "2h"), ("training.batch_size", "8"))), True),
    ],
)
def test_the_size_is_ours_to_choose_only_where_nothing_is_said(request_: PretrainRequest, is_left_to_us: bool) -> None:
    assert is_to_be_fitted(request_, resolve("laptop", overrides=request_.overrides)) == is_left_to_us


def test_what_was_fitted_is_said_kept_and_below_what_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"": StepTime(seconds=1.0, tokens=20_000.0)}  # a busy or bf16 machine is slower
    monkeypatch.setattr(fitting, "step_times", lambda *_, **__: usual)
    WordPiece(vocab_size=60, min_frequency=1, lowercase=True).make([TEXT], corpus_bytes=len(TEXT)).save(
        tmp_path / "tokenizer"
    )
    found, said = [], []
    with store_of_text(TEXT, tmp_path / "tokenizer") as store:
        for overrides in ((), (), (("training.batch_size", "8"),)):
            request = PretrainRequest(overrides=(("training.budget", "20h"), *overrides), out=tmp_path / "runs")
            resolved = resolve("laptop", overrides=request.overrides)
            fitted, reasons = fitted_to_budget(
                request, resolved, store, processes=SingleProcess(), device=torch.device("cpu")
            )
            found.append(fitted)
            said.append(" ".join(reasons))
    assert all("size " in one for one in said)
    assert [" steps would be more than" in one for one in said] == [True, True, False]
    assert (tmp_path / "runs" / "speed.json").is_file()
    first, again, smaller = found
    assert first.text() == again.text()
    assert first.recipe.training.batch_size > 16 and smaller.recipe.training.batch_size == 8
    assert first.origins()["training.batch_size"] == "fitted to the budget"
    assert smaller.origins()["training.batch_size"] == "--training.batch_size"
