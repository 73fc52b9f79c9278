"""Engines carry out the runs of a study outside this process, and the study's own call collects what came of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from invented import write_texts
from test_study_runs import TWO

from afterbert.base.errors import UserError
from afterbert.study import running
from afterbert.study.engines import carried_out, last_line
from afterbert.study.engines.here import Here
from afterbert.study.engines.slurm import Slurm
from afterbert.study.plan import planned
from afterbert.study.request import StudyRequest
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


@pytest.mark.parametrize("status", [130, 143])
def test_a_run_that_a_signal_stopped_stops_the_study_and_is_no_fault(status):
    with pytest.raises(KeyboardInterrupt):
        last_line(["study"], status, "note: SIGINT: saving step 18")


def test_a_stopped_engine_stops_the_study(request_for_two, monkeypatch):
    def stops(self, commands, *, folder, observer, look):
        raise KeyboardInterrupt

    monkeypatch.setattr(Here, "__call__", stops)
    done = run_study(planned(request_for_two), engine=Here())
    assert (done.results, done.exit_code) == (None, 130)


def test_processes_of_this_machine_say_what_failed_and_that_they_are_gone(tmp_path, monkeypatch):
    said = Lines()
    words = ["study", "no-such", "--text", "x", "--only", "y"]
    with pytest.raises(UserError, match=r"study no-such .*ended with 2: error: no study is called 'no-such'"):
        Here(jobs=1)([words, words], folder=tmp_path, observer=said, look=list)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=r"`afterbert study no-such .*` is gone \(it ended with 1"):
        Here(jobs=1)([words], folder=tmp_path, observer=said, look=list)
    assert said.lines == []


def test_a_process_carries_out_one_command_after_another_and_tells_both_outputs():
    asked = [["--version"], ["no-verb"], ["--version"]]
    done = subprocess.run(
        [sys.executable, "-m", "afterbert.cli.worker"],
        input="".join(json.dumps(words) + "\n" for words in asked),
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first == third
    assert (first[0], second[0]) == (0, 2)
    assert "no-verb" in second[1]
