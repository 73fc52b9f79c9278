"""Kills, signals and broken disks in child processes.

Children are forked from a server that has imported torch but computed nothing, so each is a fresh process at once.
"""

import json
import multiprocessing
import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest
import toy_run
from toy_run import assert_same_weights, losses, run_toy, toy_evaluate, toy_module, toy_training

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder, explain_exit
from afterbert.training.checkpoints.checkpoint import Checkpoints
from afterbert.training.checkpoints.writing import CheckpointWriter

pytestmark = pytest.mark.fault

SETTINGS = {
    "budget": Budget(60, "steps"),
    "checkpoint_every": Budget(5, "steps"),
    "evaluate_every": Budget(20, "steps"),
    "workers": 1,
}


@pytest.fixture(scope="module")
def spawn():
    """Starts children; whatever is still running at the end is killed."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["torch._dynamo", "afterbert.training.trainer", "pydantic"])
    started = []

    def start(path, *, target=toy_run.child, settings=SETTINGS, **options):
        process = server.Process(target=target, args=(str(path), settings), kwargs=options)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "unbroken"
    toy_run.torch.set_num_threads(1)
    run_toy(path, toy_training(**SETTINGS), module=toy_module(carries=True), evaluate=toy_evaluate)
    return path


def wait_for(condition, process=None, *, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        assert process is None or process.is_alive(), f"the child {explain_exit(process.exitcode)} too early"
        time.sleep(0.002)


def last_step(path):
    metrics = RunFolder(path).metrics
    return max([record["step"] for record in metrics.read() if record["kind"] == "step"], default=0)


def wait_for_news(child, path, before):
    """A new line in the metrics, or the end."""
    wait_for(lambda: not child.is_alive() or last_step(path) not in (0, before))


def state(path):
    status = RunFolder(path).status()
    return status.state if status else None


def ended(process, seconds=30):
    process.join(seconds)
    assert process.exitcode is not None, "still running"
    return process.exitcode


def finish(spawn, path, unbroken, **options):
    assert ended(spawn(path, evaluate=toy_evaluate, **options)) == 0
    assert losses(path) == losses(unbroken)
    assert_same_weights(path, unbroken)
    assert not list((path / "checkpoints").glob(".*"))


@pytest.mark.parametrize("seed", range(3))
def test_kill_at_random_moments(spawn, unbroken, tmp_path, seed):
    """Wait for progress, then a random moment, then SIGKILL; six times, then to the end."""
    moments, kills = random.Random(seed), 0
    for _ in range(6):
        before = last_step(tmp_path / "run") if (tmp_path / "run").exists() else 0
        child = spawn(tmp_path / "run", evaluate=toy_evaluate, slow=0.02)
        wait_for_news(child, tmp_path / "run", before)
        time.sleep(moments.random() * 0.25)
        child.kill()
        kills += ended(child) == -signal.SIGKILL
    assert kills >= 3
    finish(spawn, tmp_path / "run", unbroken)


POINTS = ["before write", "mid file", "before manifest", "before rename", "before purge"]


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("point", POINTS)
def test_kill_inside_a_save(spawn, unbroken, tmp_path, point, number, keep):
    """The first write is step 0, the second the rehearsal, the fourth step 10; never again without a whole one."""
    if number == 2 and point in ("before rename", "before purge"):
        pytest.skip("a rehearsal is not renamed")
    settings = {**SETTINGS, "keep_checkpoints": keep}
    environment = {"AFTERBERT_TEST_CRASH_AT": f"save:{number}:{point}"}
    crashed = ended(spawn(tmp_path / "run", settings=settings, environment=environment, evaluate=toy_evaluate))
    assert crashed == -signal.SIGKILL
    saved, notes = Checkpoints(tmp_path / "run" / "checkpoints", keep=keep).latest()
    assert notes == []
    if number == 4:
        assert saved is not None
        assert saved.step == (10 if point == "before purge" else 5)
    finish(spawn, tmp_path / "run", unbroken, settings=settings)
    left = sorted(entry.name for entry in (tmp_path / "run" / "checkpoints").iterdir())
    assert left == ["step-000055", "step-000060"][-keep:]


def slow_evaluate(module, step):
    time.sleep(20)
    return toy_evaluate(module, step)


def slow_save(path, settings):
    """A child whose checkpoints take half a second."""
    real = CheckpointWriter._fill

    def fill(self, *arguments):
        time.sleep(0.5)
        return real(self, *arguments)

    CheckpointWriter._fill = fill
    toy_run.child(path, settings, evaluate=toy_evaluate)


def endless_save(path, settings):
    """A child whose checkpoints, once something was learned, take a minute."""
    real = CheckpointWriter._fill

    def fill(self, *arguments):
        if last_step(Path(path)) > 0:
            time.sleep(60)
        return real(self, *arguments)

    CheckpointWriter._fill = fill
    toy_run.child(path, settings, evaluate=toy_evaluate)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("phase", ["measuring", "training", "evaluating", "saving"])
def test_a_signal_in_each_phase(spawn, unbroken, tmp_path, phase, signum):
    """The status says the phase, the signal comes, the child saves and ends; the resumed run is the unbroken one."""
    path, options = tmp_path / "run", {"slow": 0.02, "evaluate": toy_evaluate}
    if phase == "evaluating":
        options["evaluate"] = slow_evaluate
    if phase in ("saving", "measuring"):  # the rehearsed save makes measuring long enough to be met
        options = {"target": slow_save}
    child = spawn(path, **options)
    wait_for(lambda: path.exists() and state(path) == phase, child)
    os.kill(child.pid, signum)
    before = time.monotonic()
    assert ended(child) == 128 + signum
    assert time.monotonic() - before < 5
    assert state(path) == "preempted"
    saved, _ = Checkpoints(path / "checkpoints", keep=2).latest()
    assert saved is not None
    assert saved.step == max(losses(path), default=0)
    finish(spawn, path, unbroken)


def test_a_second_signal_ends_at_once(spawn, unbroken, tmp_path):
    path = tmp_path / "run"
    child = spawn(path, target=endless_save)
    wait_for(lambda: path.exists() and state(path) == "saving" and last_step(path) > 0, child)
    os.kill(child.pid, signal.SIGTERM)
    time.sleep(0.2)  # two signals that wait together are one
    os.kill(child.pid, signal.SIGTERM)
    before = time.monotonic()
    assert ended(child) == 143
    assert time.monotonic() - before < 50, "it waited for the save"
    finish(spawn, path, unbroken)


def small_disk(path, settings):
    """A child that from step 7 on cannot write a file of more than 8 kB: smaller than its optimizer's."""

    class Limits(toy_run.Observer):
        def on_step(self, record):
            if record["step"] == 7:
                resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, resource.RLIM_INFINITY))

    toy_run.torch.set_num_threads(1)
    training = toy_training(**settings)
    try:
        run_toy(
            toy_run.Path(path), training, module=toy_module(carries=True), observers=[Limits()], evaluate=toy_evaluate
        )
    except UserError as error:
        (toy_run.Path(path) / "said").write_text(str(error))
        raise SystemExit(2) from None


def test_a_disk_that_takes_no_more(spawn, unbroken, tmp_path):
    path = tmp_path / "run"
    assert ended(spawn(path, target=small_disk)) == 2
    assert "a checkpoint needs" in (path / "said").read_text()
    assert sorted(entry.name for entry in (path / "checkpoints").iterdir()) == ["step-000000", "step-000005"]
    assert state(path) == "failed"
    finish(spawn, path, unbroken)


def test_two_at_once(spawn, tmp_path):
    path = tmp_path / "run"
    child = spawn(path, slow=0.02)
    wait_for(lambda: path.exists() and last_step(path) > 0, child)
    with pytest.raises(UserError, match=f"is being written by process {child.pid}"):
        run_toy(path, toy_training(**SETTINGS))
    assert child.is_alive()
    child.kill()
    ended(child)


def test_the_note_on_a_dead_writer(spawn, tmp_path):
    path = tmp_path / "run"
    child = spawn(path, slow=0.02)
    wait_for(lambda: path.exists() and last_step(path) > 0, child)
    child.kill()
    assert "want of memory" in explain_exit(ended(child))
    assert ended(spawn(path)) == 0
    notes = [record["text"] for record in RunFolder(path).metrics.read() if record["kind"] == "note"]
    assert any(f"process {child.pid} on" in note and "was taken over" in note for note in notes)


def little_memory(path, settings):
    """A child that may not grow by more than 300 MB, with rows whose pass needs more than that eight at a time."""

    class Hungry(toy_run.ToyModule):
        def forward(self, arrays):
            wide = self.backbone.embedding(arrays["piece_ids"][:, :1]).repeat(1, 500_000, 1).sin()  # 32 MB a row
            scores = super().forward(arrays)
            return {**scores, "masked": scores["masked"] + 0 * wide.sum()}

    toy_run.torch.set_num_threads(1)
    size = int(toy_run.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 300_000_000, resource.RLIM_INFINITY))
    toy_run.torch.manual_seed(5)
    training = toy_training(**{**settings, "budget": Budget(3, "steps"), "workers": 0})
    run_toy(toy_run.Path(path), training, module=Hungry())


def test_memory_that_really_runs_out(spawn, tmp_path):
    path = tmp_path / "run"
    assert ended(spawn(path, target=little_memory)) == 0
    assert list(losses(path)) == [1, 2, 3]
    saved = json.loads((path / "checkpoints" / "step-000003" / "state.json").read_text())
    assert saved["progress"]["micro_batch_size"] < 8
