"""What a teacher is asked, of which layers, and in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import answering, outputs, setting_for
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.compression.chain import parse
from afterbert.compression.subject import Subject
from afterbert.nn.inputs import Inputs
from afterbert.objectives.parts.distillation import DistillationModule, Losses


@pytest.fixture
def model(tmp_path: Path) -> Subject:
    return answering(tmp_path / "model")


def task_of(subject: Subject) -> Any:
    assert subject.tuned is not None
    return subject.tuned.module.eval()


def test_a_teacher_reads_what_a_student_with_fewer_pieces_reads(model: Subject, tmp_path: Path) -> None:
    setting = setting_for(model, tmp_path / "scratch")
    few = replace(setting, rows={"train": setting.rows["train"][:3]})
    small = parse("vocabulary")(model, few)
    assert small.model.tokenizer.vocabulary.size < model.model.tokenizer.vocabulary.size
    parse("distil:steps=1")(small, few)
    asked = torch.from_numpy(np.load(setting.folder / "teacher.npy"))
    torch.testing.assert_close(asked, outputs(model, few))


@pytest.mark.parametrize(("by", "theirs"), [("skip", 2), ("last", 3)])
def test_first_pieces_are_those_of_the_layers_that_are_named(
    by: Any, theirs: int, model: Subject, tmp_path: Path
) -> None:
    """Of a student with 2 layers the first is compared, to layer 2 of 4 or to the one below the last."""
    setting = setting_for(model, tmp_path / "scratch")
    small = parse("layers:2")(model, setting)
    around = DistillationModule(task_of(small), task_of(model), Losses(soft=0, patient=1, patient_layers=by)).eval()
    arrays = next(iter(setting.batches(model)))
    mine, other = (task_of(one).backbone.layers(Inputs.of(arrays)).hidden for one in (small, model))
    apart = F.normalize(mine[1][:, 0], dim=-1) - F.normalize(other[theirs][:, 0], dim=-1)
    torch.testing.assert_close(around(arrays)["teacher/patient"], apart.square().sum())


def test_layers_that_are_not_compared_are_not_chosen() -> None:
    with pytest.raises(UserError, match="whose weight is 0"):
        parse("distil:patient_layers=last")
