"""Pre-training from a teacher: DistilBERT's three losses by their formulas, and teachers that do not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.cli.main import run
from afterbert.recipes import known, resolve
from toy_corpus import VOCABULARY, hidden_of, posed, taught, tensors

QUIET = [("model.hidden_dropout_prob", "0"), ("model.attention_probs_dropout_prob", "0")]
RECIPE = resolve("bert-mlm", size="tiny", overrides=QUIET).recipe


def test_the_losses_are_those_of_the_paper() -> None:
    objective = taught(RECIPE.objective, RECIPE.model)
    torch.manual_seed(1)
    student = objective.build(replace(RECIPE.model, num_hidden_layers=1), VOCABULARY).eval()  # type: ignore[type-var]
    teacher = objective.inner.build(RECIPE.model, VOCABULARY).eval()
    teacher.start_from(objective.model.weights_to_start_from())
    batch = posed(objective, [0, 1, 2])
    arrays = tensors(batch)
    found = student(arrays)
    mine, theirs = student.predict(arrays) / 2, teacher.predict(arrays) / 2
    soft = F.kl_div(mine.log_softmax(-1), theirs.softmax(-1), reduction="sum") * 4
    torch.testing.assert_close(found["teacher/soft"], soft)
    states = [hidden_of(one, arrays) for one in (student, teacher)]
    apart = 1 - F.cosine_similarity(*states, dim=-1)
    is_piece = torch.arange(apart.shape[1]) < arrays["visible_lengths"][:, None]
    torch.testing.assert_close(found["teacher/cosine"], apart[is_piece].sum())
    assert batch.counts["teacher/cosine"] == int(is_piece.sum())
    assert batch.counts["teacher/soft"] == len(mine)
    assert student.loss_weights == {"masked": 2.0, "teacher/soft": 5.0, "teacher/cosine": 1.0}
    assert set(student.meanings()) >= set(student.loss_weights)


@pytest.mark.parametrize("name", known())
def test_a_teacher_is_asked_where_pieces_are_named_and_counted_by_its_answers(name: str) -> None:
    recipe = resolve(name, size="tiny").recipe
    small = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 1}
    objective = taught(recipe.objective, replace(recipe.model, **small))  # type: ignore[type-var]
    try:
        student = objective.build(objective.model.architecture, VOCABULARY).eval()
    except UserError as refused:
        assert "cannot be learned from a teacher" in str(refused)
        assert (
            "electra" in name
            or name.startswith(("find-", "simcse", "laptop-sentences", "masked-causal"))
            or name.endswith("-tlm")
        )
        return
    batch = posed(objective, [0, 1, 2])
    assert batch.counts["teacher/soft"] == len(student.predict(tensors(batch)))


def test_a_teacher_of_other_pieces_is_refused() -> None:
    objective = taught(RECIPE.objective, RECIPE.model)
    with pytest.raises(UserError, match="another vocabulary"):
        objective.build(RECIPE.model, replace(VOCABULARY, size=121))


def test_by_the_command_a_teacher_brings_its_pieces_and_stays_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    draw = np.random.default_rng(0)
    words = ["sl\u00f3\u00f0", "hestur", "\u0628\u064a\u062a", "house", "of", "the", "snow", "is"]
    lines = [" ".join(draw.choice(words, 12)) + "." for _ in range(60)]
    (tmp_path / "a b.txt").write_text("\n\n".join(lines), encoding="utf-8")
    usual = [str(tmp_path / "a b.txt"), "--size", "tiny", "--budget", "4steps", "--out", str(tmp_path / "runs")]
    small = ["--model.hidden_size", "16", "--model.intermediate_size", "24", "--training.precision", "fp32"]
    assert run(["pretrain", *usual, *small, "--recipe", "bert-mlm", "--name", "large"]) == 0
    teacher = tmp_path / "runs" / "large"
    student = ["pretrain", *usual, *small, "--recipe", "distilbert", "--name", "student", "--teacher", str(teacher)]
    assert run(student) == 0
    assert (tmp_path / "runs" / "student" / "model" / "model.safetensors").is_file()
    figures = json.loads((tmp_path / "runs" / "student" / "figures.json").read_text())
    assert "learned from the teacher" in figures["others"]["teacher/soft"]["title"]
    shutil.rmtree(teacher / "model")
    shutil.copytree(tmp_path / "runs" / "student" / "model", teacher / "model")
    resume = ["pretrain", "--resume", str(tmp_path / "runs" / "student"), "--training.budget", "6steps"]
    assert run([*resume, "--allow-changes"]) == 2
    assert "has other weights than when this run began" in capsys.readouterr().err
