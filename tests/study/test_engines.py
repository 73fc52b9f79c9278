"""Engines carry out the runs of a study outside this process, and the study's own call collects what came of them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest
from invented import write_texts
from test_study_runs import TWO

from afterbert.base.errors import UserError
from afterbert.study import running
from afterbert.study.engines import carried_out
from afterbert.study.engines.here import Here
from afterbert.study.engines.slurm import Slurm
from afterbert.study.plan import StudyRequest, planned
from afterbert.study.running import run_study
from afterbert.workflows.observer import WorkObserver


class Lines(WorkObserver):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def request_for_two(tmp_path) -> StudyRequest:
    (tmp_path / "a study.yaml").write_text(TWO)
    texts = write_texts(tmp_path / "my texts")
    return StudyRequest(str(tmp_path / "a study.yaml"), (str(texts),), scale="smoke", out=tmp_path / "runs", seeds=1)


def without_training(monkeypatch) -> None:
    monkeypatch.setattr(running, "pretrain", None)


def test_several_runs_at_once_are_those_of_one_process(request_for_two, monkeypatch, tmp_path):
    alone = run_study(planned(replace(request_for_two, out=tmp_path / "alone")))
    without_training(monkeypatch)
    lines = Lines()
    done = run_study(planned(request_for_two), observer=lines, engine=Here(jobs=2))
    assert done.results.judged == alone.results.judged
    assert sum(line.startswith(("1 of 2", "2 of 2")) for line in lines.lines) == 2


def test_a_script_for_slurm_carries_out_the_run_of_each_index(request_for_two, monkeypatch):
    without_training(monkeypatch)
    plan = planned(request_for_two)
    assert run_study(plan, engine=Slurm(jobs=3)).results is None
    script = plan.folder / "runs.slurm"
    assert "#SBATCH --array=0-1%3\n" in script.read_text()
    for index in "01":
        subprocess.run(["bash", str(script)], env=os.environ | {"SLURM_ARRAY_TASK_ID": index}, check=True)
    assert run_study(planned(request_for_two), engine=Slurm(jobs=3)).results is not None


def test_a_run_that_fails_says_why():
    with pytest.raises(UserError, match=r"study no-such .*no study is called 'no-such'"):
        carried_out(["study", "no-such", "--text", "x", "--only", "y"])
