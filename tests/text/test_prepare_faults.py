"""Preparation that is killed, stopped, doubled or squeezed: it goes on where it was, or says who is in the
way."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_fixtures import corpus, digests

from afterbert.text.token_store.part_files import finished
from afterbert.text.token_store.store import Store
from invented_texts import documents

CHILD = Path(__file__).with_name("prepare_in_child.py")


def start(source, out, *, processes=1, seconds=0.1, part_bytes=3_000, **environment):
    """A child that prepares; it can import what these tests can."""
    return subprocess.Popen(
        [sys.executable, str(CHILD), source.path, str(out), str(processes), str(seconds), str(part_bytes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def wait_for(condition, *, seconds=60.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.02)


def finished_parts(out):
    return sorted(out.glob(".work/*/part-*/done.json"))


def wait_for_parts(child, out, count=3):
    wait_for(lambda: len(finished_parts(out)) >= count or child.poll() is not None)
    assert child.poll() is None, child.communicate()


def workers_of(child):
    """The process ids of a child's workers."""
    pids = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    return [int(pid) for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def finish(source, out, **how):
    child = start(source, out, seconds=0, **how)
    _, error = child.communicate(timeout=100)
    assert child.returncode == 0, error
    return digests(out)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A source, and the files of the store made from it without disturbance."""
    folder = tmp_path_factory.mktemp("straight")
    source = corpus(folder, 150)
    return source, finish(source, folder / "store")


@pytest.mark.fault
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_it_goes_on_where_it_was(tmp_path, straight, processes):
    source, wanted = straight
    child = start(source, tmp_path, processes=processes)
    wait_for_parts(child, tmp_path)
    workers = workers_of(child)
    child.kill()
    child.communicate()
    assert len(workers) == (processes if processes > 1 else 0)
    wait_for(lambda: not any(map(is_running, workers)))
    kept = {path: path.stat().st_mtime_ns for path in finished_parts(tmp_path)}
    again = start(source, tmp_path, processes=processes, seconds=0.3)
    wait_for_parts(again, tmp_path, len(kept) + 1)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    again.kill()
    again.communicate()
    assert finish(source, tmp_path) == wanted


@pytest.mark.fault
def test_damaged_parts_are_made_anew(tmp_path, straight):
    source, wanted = straight
    child = start(source, tmp_path)
    wait_for_parts(child, tmp_path)
    child.kill()
    child.communicate()
    first, second, third = (path.parent for path in finished_parts(tmp_path)[:3])
    pieces = bytearray((first / "pieces").read_bytes())
    pieces[3] ^= 4
    (first / "pieces").write_bytes(pieces)
    (second / "word_start").unlink()
    (third / "done.json").write_text("{")
    assert finished(first) is finished(second) is finished(third) is None
    assert finish(source, tmp_path) == wanted


@pytest.mark.fault
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("phase", ["making the tokenizer", "encoding"])
def test_sigterm_ends_it_cleanly(tmp_path, straight, processes, phase):
    source, wanted = straight
    child = start(source, tmp_path, processes=processes)
    while child.stdout.readline().strip() != phase:
        pass
    begin, workers = time.monotonic(), workers_of(child)
    child.send_signal(signal.SIGTERM)
    _, error = child.communicate(timeout=30)
    assert child.returncode == 143, error
    assert error == ""
    assert time.monotonic() - begin < 15
    assert not any(map(is_running, workers))
    assert not (tmp_path / ".lock").exists()
    assert finish(source, tmp_path) == wanted


@pytest.mark.fault
def test_a_second_one_is_told_who_is_at_work(tmp_path, straight):
    source, _ = straight
    child = start(source, tmp_path)
    wait_for_parts(child, tmp_path, 1)
    child.send_signal(signal.SIGSTOP)  # so that it is still at work however long the second takes to start
    second = start(source, tmp_path)
    _, error = second.communicate(timeout=60)
    child.kill()
    child.communicate()
    assert second.returncode == 2
    assert f"process {child.pid} on {socket.gethostname()}" in error
    assert error.count("\n") == 1


@pytest.mark.fault
def test_a_killed_worker_is_told(tmp_path, straight):
    source, wanted = straight
    child = start(source, tmp_path, processes=2)
    wait_for_parts(child, tmp_path, 1)
    os.kill(workers_of(child)[0], signal.SIGKILL)
    _, error = child.communicate(timeout=60)
    assert child.returncode == 2
    assert "a worker process was killed by signal 9" in error
    assert finish(source, tmp_path, processes=2) == wanted


@pytest.mark.fault
def test_a_mistake_in_a_worker_is_the_users_line(tmp_path):
    source = corpus(tmp_path, 100)
    text = Path(source.path).read_text().splitlines()
    text[70] = text[70].replace('"text"', '"txt"')
    Path(source.path).write_text("\n".join(text))
    child = start(source, tmp_path / "store", processes=2)
    _, error = child.communicate(timeout=60)
    assert child.returncode == 2
    assert error.count("\n") == 1
    assert "texts.jsonl" in error


def test_same_bytes_whatever_the_hash_seed(tmp_path, straight):
    source, wanted = straight
    for seed in ("0", "1"):
        assert finish(source, tmp_path / seed, PYTHONHASHSEED=seed, LC_ALL="C", TZ="Asia/Tokyo") == wanted


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell peaks in /proc")
def test_memory_stays_flat(tmp_path):
    """A corpus ten times as large needs no more memory; its pieces and planes alone would be far above the
    limit."""
    # VmHWM and not ru_maxrss, which a process inherits from the one that started it.
    code = (
        "import sys, runpy, pathlib; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__');"
        "told = pathlib.Path('/proc/self/status').read_text();"
        "print('peak', told.partition('VmHWM:')[2].split()[0])"
    )
    peaks = []
    for count in (3_000, 30_000):
        texts = documents(count)
        (tmp_path / str(count)).mkdir()
        source = corpus(tmp_path / str(count), 0, extra=texts)
        arguments = [source.path, str(tmp_path / f"store{count}"), "1", "0", "200000"]
        done = subprocess.run(
            [sys.executable, "-c", code, str(CHILD), *arguments], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.split()[-1]) / 1024)
        pieces = Store.open(tmp_path / f"store{count}").split("train").num_pieces
    assert pieces > 1_700_000
    assert peaks[1] - peaks[0] < 25


def test_a_word_of_a_megabyte_is_no_trouble(tmp_path):
    source = corpus(tmp_path, 100, extra=["x" * 1_000_000, "我" * 300_000, json.dumps("\n" * 50_000)])
    begin = time.process_time()
    child = start(source, tmp_path / "store", seconds=0, part_bytes=4_000_000)
    _, error = child.communicate(timeout=100)
    assert child.returncode == 0, error
    assert time.process_time() - begin < 10
    tally = Store.open(tmp_path / "store").tally
    assert tally.repaired["spaces put into runs without white space"] > 1_000
