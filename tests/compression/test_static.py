"""Vectors of pieces: what other tools read of the folder, pairs told apart, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import BERT, answering, like_the_laptop_recipe, outputs, setting_for

from afterbert.base.errors import UserError
from afterbert.compression.chain import parse
from afterbert.compression.methods import Setting
from afterbert.compression.methods.static import _weights
from afterbert.compression.subject import Subject


def test_without_a_task_sentence_transformers_reads_the_same_vectors(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    subject = answering(tmp_path)
    after = parse("static:width=8")(Subject(subject.model), Setting(tmp_path))
    after.write(tmp_path / "ä static")
    after = Subject.read(tmp_path / "ä static")  # as after a kill
    after.write(tmp_path / "again")
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "again"), device="cpu")
    tokenizer = subject.model.tokenizer
    for text in ("the food was good", "we did not like the food at all"):
        ids = torch.tensor([tokenizer.encode(text)])
        ours = after.predict({"input_ids": ids, "last": torch.tensor([ids.shape[1] - 1])})
        # ours has a scale of eight bits a row
        np.testing.assert_allclose(ours.numpy(), theirs.encode([text]), atol=0.02)


@pytest.mark.parametrize("kind", ["pair_classification", "regression"])
def test_it_learns_the_answers_of_the_model(kind: str, tmp_path: Path) -> None:
    subject = answering(tmp_path, kind=kind)
    setting = setting_for(subject, tmp_path / "scratch")
    right = outputs(subject, setting)

    def told(answers: torch.Tensor) -> torch.Tensor:
        return answers.log_softmax(-1) if answers.shape[1] > 1 else answers

    def distance(epochs: int) -> float:
        after = parse(f"static:width=16,epochs={epochs},learning_rate=0.02")(subject, setting)
        return float((told(outputs(after, setting)) - told(right)).square().mean())

    assert distance(200) < 0.5 * distance(0)


def test_padding_counts_for_nothing_among_frequent_pieces(tmp_path: Path) -> None:
    subject = answering(tmp_path)
    (batch,) = setting_for(subject, tmp_path / "scratch").batches(subject)
    wider = {**batch, "input_ids": torch.nn.functional.pad(batch["input_ids"], (0, 7))}
    assert torch.equal(_weights(subject, [wider], 1e-3), _weights(subject, [batch], 1e-3))


def test_tasks_that_it_cannot_answer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="static answers for whole rows"):
        parse("static").check(answering(tmp_path / "tags", kind="tagging").form)
    pairs = answering(tmp_path / "pairs", like_the_laptop_recipe(), kind="pair_classification")
    with pytest.raises(UserError, match="which this model lacks"):
        parse("static").check(pairs.form)
    assert BERT.has_segments
