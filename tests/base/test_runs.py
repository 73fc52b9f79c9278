"""Run folders: names, the lock, status and metrics."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afterbert.base.errors import UserError
from afterbert.base.runs import Metrics, RunFolder, copy_whole, replacing, write_atomically

HOLDS = """
import sys, time
from pathlib import Path
from afterbert.base.runs import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-rf", "a/b", "a b", "a\nb", "ä", "a\x1b[31m"])
def test_names_that_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="run name"):
        RunFolder.create(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_link_must_not_lead_out_of_the_root(tmp_path):
    root, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "run").symlink_to(elsewhere)
    with pytest.raises(UserError, match="leads out"):
        RunFolder.create(root, "run")
    assert not list(elsewhere.iterdir())


def test_a_folder_of_something_else_is_not_taken_for_a_run(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "recipe.yaml").write_text("soup")
    (tmp_path / "theirs" / "checkpoints" / "epoch-1").mkdir(parents=True)
    for name in ("thesis", "theirs"):
        with pytest.raises(UserError, match="is no run that afterbert made"):
            RunFolder.create(tmp_path, name)
    assert not (tmp_path / "thesis" / "checkpoints").exists()
    (RunFolder.create(tmp_path, "ours").checkpoints / "step-000000").mkdir()
    assert RunFolder.create(tmp_path, "ours").checkpoints.is_dir()


def test_two_processes_of_one_run_make_its_folder_together(tmp_path, monkeypatch):
    """One finishes while the other looks at what is there."""
    looks = Path.is_dir

    def is_dir(path):
        found = looks(path)
        if path.name == "checkpoints" and not found:
            path.mkdir(parents=True)
        return found

    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert RunFolder.create(tmp_path, "run").checkpoints.exists()


def test_what_is_refused_leaves_no_empty_folder(tmp_path):
    """A recipe that does not fit its store left `checkpoints/` behind, refused closing data `closing.json`; a run that
    has begun, or that another process is beginning, stays."""
    for is_begun in (False, True):
        run = RunFolder.create(tmp_path, f"run-{is_begun}")
        write_atomically(run.path / "closing.json", "{}")
        if is_begun:
            write_atomically(run.course, "{}")
        with pytest.raises(UserError), run.unless_refused():
            raise UserError("no sentinels")
        assert run.path.exists() == is_begun
    with RunFolder.create(tmp_path, "held").locked():
        run = RunFolder.create(tmp_path, "held")
        write_atomically(run.recipe, "")
        with pytest.raises(UserError), run.unless_refused():
            raise UserError("no sentinels")
        assert run.recipe.exists()


def test_open_needs_a_run_folder(tmp_path):
    with pytest.raises(UserError, match="no run folder"):
        RunFolder.open(tmp_path)
    assert RunFolder.open(RunFolder.create(tmp_path, "run").path).path == tmp_path / "run"


def test_the_lock_may_be_nested_and_is_let_go_after_an_error(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    with pytest.raises(KeyError), run.locked() as note, run.locked() as inner:
        assert note is None
        assert inner is None
        raise KeyError
    with RunFolder.open(run.path).locked() as note:
        assert note is None


def test_a_second_writer_in_the_same_process_is_refused(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    with run.locked(), pytest.raises(UserError, match=f"process {os.getpid()} on"), RunFolder(run.path).locked():
        pass


@pytest.mark.fault
def test_a_second_process_is_refused_and_a_dead_ones_lock_taken_over(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(run.path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"being written by process {holder.pid} on "), run.locked():
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with run.locked() as note:
            assert note is not None
            assert f"process {holder.pid}" in note
        with run.locked() as note:
            assert note is None
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_status_keeps_fields_and_spares_the_disk(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    assert run.status() is None
    run.report(phase="pretrain", state="training", step=1, total_steps=9)
    run.report(state="training", step=2)
    found = run.status()
    assert found is not None
    assert (found.phase, found.step, found.total_steps, found.pid) == ("pretrain", 1, 9, os.getpid())
    run.report(state="saving", step=3)
    found = RunFolder(run.path).status()
    assert found is not None
    assert (found.phase, found.state, found.step) == ("pretrain", "saving", 3)
    RunFolder(run.path).report(state="starting")
    found = run.status()
    assert found is not None
    assert (found.phase, found.state) == ("pretrain", "starting")


def test_status_that_cannot_be_read_is_no_status(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    (run.path / "status.json").write_text('{"state": "trai')
    assert run.status() is None


def test_a_folder_that_is_gone_is_said_clearly(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    shutil.rmtree(run.path)
    with pytest.raises(OSError, match=r"run folder .* is gone"):
        run.report(state="training")
    with pytest.raises(OSError, match=r"run folder .* is gone"):
        run.metrics.append({"kind": "step", "step": 1})
    assert not run.path.exists()


def test_write_atomically_leaves_the_old_text_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old", sync=True)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_metrics_keep_every_bit(tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    values = [0.1, 1 / 3, 1e-310, math.pi * 1e300, 5e-324]
    metrics.append({"kind": "step", "step": 1, "values": values, "text": "ä\n\u2028"})
    assert metrics.read() == [{"kind": "step", "step": 1, "values": values, "text": "ä\n\u2028"}]
    assert metrics.path.read_bytes().count(b"\n") == 1


def test_metrics_are_json_even_for_what_is_not_finite(tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.append({"kind": "step", "step": 1, "loss": math.nan, "parts": {"a": -math.inf, "b": [math.inf]}})

    def refuse(name):
        raise AssertionError(name)

    found = json.loads(metrics.path.read_text(), parse_constant=refuse)
    assert (found["loss"], found["parts"]) == ("nan", {"a": "-inf", "b": ["inf"]})


def records(*steps, kind="step"):
    return [{"kind": kind, "step": step} for step in steps]


def test_trim_drops_what_came_later_and_a_torn_line(tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    for record in [*records(1, 2), *records(2, kind="evaluation"), *records(3)]:
        metrics.append(record)
    whole = metrics.path.read_bytes()
    metrics.path.write_bytes(whole + b'{"kind": "step", "st')
    assert metrics.read() == [*records(1, 2), *records(2, kind="evaluation"), *records(3)]
    assert metrics.trim(2) == 1
    metrics.append(records(3)[0])
    assert metrics.path.read_bytes() == whole
    assert metrics.trim(2, without=("evaluation",)) == 2
    assert metrics.read() == records(1, 2)


def test_trim_at_every_length_of_a_torn_file(tmp_path):
    """Whatever a power failure left of the last line, the lines before it stay."""
    metrics = Metrics(tmp_path / "metrics.jsonl")
    for record in records(1, 2, 3):
        metrics.append(record)
    whole = metrics.path.read_bytes()
    second = len(whole) // 3 * 2
    for size in range(second, len(whole)):
        metrics.path.write_bytes(whole[:size])
        assert metrics.read() == records(1, 2)
        metrics.trim(9)
        assert metrics.path.read_bytes() == whole[:second]
    metrics.path.write_bytes(whole[:second] + b"\0" * 20 + b"\n")
    assert metrics.read() == records(1, 2)


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    for record in records(1, 2, 3):
        metrics.append(record)
    lines = metrics.path.read_text().split("\n")
    metrics.path.write_text("\n".join([lines[0], lines[1][:-4], lines[2], ""]))
    with pytest.raises(UserError, match=r"metrics.jsonl:2 is no record"):
        metrics.read()
    for odd in ('{"ki_nd": "step", "step": 2}', '{"kind": "step", "step": "2"}', "3", "[" * 5000):
        metrics.path.write_text("\n".join([lines[0], odd, lines[2], ""]))
        with pytest.raises(UserError, match=r"metrics.jsonl:2 is no record"):
            metrics.read()


def test_status_is_written_twice_a_second_at_most(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    run.report(state="training", step=0)
    written, until = set(), time.monotonic() + 0.3
    step = 0
    while time.monotonic() < until:
        step += 1
        run.report(state="training", step=step)
        found = run.status()
        assert found is not None
        written.add(found.step)
    assert step > 2
    assert written == {0}


def test_nothing_is_left_of_a_file_that_was_not_written_whole(tmp_path):
    (tmp_path / "kept").write_text("before")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "kept") as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(IsADirectoryError):
        copy_whole(tmp_path, tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"] and (tmp_path / "kept").read_text() == "before"
