"""Runs of a study as tasks of a Ray cluster of two nodes, each a process of its own on this machine."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from invented import write_texts
from test_study_runs import TWO

from afterbert.base.errors import UserError
from afterbert.study.engines import ray as engine
from afterbert.workflows.observer import WorkObserver

_STUDY = """
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

from afterbert.study import running
from afterbert.study.engines.ray import Ray
from afterbert.study.plan import planned
from afterbert.study.request import StudyRequest
from afterbert.workflows.observer import WorkObserver


class Lines(WorkObserver):
    def on_line(self, text):
        print(text)


cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
running.pretrain = None  # nothing may be trained in this process
request = StudyRequest("a study.yaml", (sys.argv[1],), scale="smoke", out=Path("runs"), seeds=1)
import ray

ray.init(address=cluster.address, log_to_driver=False)
print("nodes", len([node for node in ray.nodes() if node["Alive"]]))
print("judged", len(running.run_study(planned(request), observer=Lines(), engine=Ray(jobs=None)).results.judged))

ray.init(address=cluster.address, log_to_driver=False)
try:
    Ray()([["study", "no-such", "--text", "x", "--only", "y"]], folder=Path("."), observer=Lines())
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.timeout(600)
def test_runs_are_tasks_of_a_cluster(tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    (tmp_path / "a study.yaml").write_text(TWO)
    texts = write_texts(tmp_path / "my texts")
    done = subprocess.run(
        [sys.executable, "-c", _STUDY, str(texts)], cwd=tmp_path, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "nodes 2" in lines and "judged 1" in lines
    assert sum(line.startswith(("1 of 2: ", "2 of 2: ")) for line in lines) == 2
    assert lines[-1].startswith("UserError afterbert study no-such") and "no study is called 'no-such'" in lines[-1]


@pytest.mark.parametrize(
    ("address", "left", "cure"),
    [
        ("", "", "answers \\(nobody is there\\); `ray stop` and `ray start --head` begin one"),
        ("", "127.0.0.1:1", "at 127.0.0.1:1 \\(.*refused.*`ray start --head` begin one"),  # a cluster that has died
        ("auto", "127.0.0.1:1", "at auto .*; mend RAY_ADDRESS"),
    ],
)
def test_a_cluster_that_does_not_answer_is_told_by_what_named_it(tmp_path, monkeypatch, address, left, cure):
    def init(**settings):
        raise ConnectionError("nobody is there")

    def connect(*address, timeout):
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr(engine.socket, "create_connection", connect)
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    if left:
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray/ray_current_cluster").write_text(left)
    monkeypatch.setattr(engine, "from_extra", lambda *names, needed_by: SimpleNamespace(is_initialized=bool, init=init))
    with pytest.raises(UserError, match=cure) as told:
        engine.Ray()([], folder=Path("."), observer=WorkObserver(), look=list)
    assert ("RAY_ADDRESS" in str(told.value)) == bool(address)
