"""The command line under torchrun and under srun's variables: one run, whoever starts it and however it is stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afterbert.base.runs import RunFolder
from afterbert.training.checkpoints.checkpoint import Checkpoints
from invented_texts import documents

STEPS = 120
PRETRAIN = [
    *("-m", "afterbert", "pretrain", "texts.txt", "--name", "run", "--recipe", "bert-mlm"),
    *("--budget", f"{STEPS}steps", "--length", "32", "--training.batch_size", "5"),
    *("--training.evaluate_every", f"{STEPS}steps", "--training.log_every", "1"),
    *("--model.num_hidden_layers", "1", "--model.hidden_size", "32", "--model.num_attention_heads", "2"),
    *("--model.intermediate_size", "64", "--tokenizer.vocab_size", "300"),
]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(command: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    settings = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "LOGLEVEL": "ERROR", **environment}
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def steps_of(run: RunFolder) -> list[int]:
    return [record["step"] for record in run.metrics.read() if record["kind"] == "step"]


@pytest.mark.fault
@pytest.mark.timeout(300)  # five starts of the command line
@pytest.mark.usefixtures("socket_enabled")
def test_stopped_under_torchrun_and_gone_on_with_under_srun(tmp_path: Path) -> None:
    """SIGTERM to the launcher: all processes save one step and are gone; two processes that srun would start go on."""
    (tmp_path / "texts.txt").write_text("\n\n".join(documents(150)), encoding="utf-8")
    run = RunFolder(tmp_path / "runs" / "run")
    launcher = start([*TORCHRUN, *PRETRAIN], tmp_path)
    try:
        until = time.monotonic() + 120
        while len(steps_of(run)) < 3:
            assert launcher.poll() is None, launcher.communicate()[0]
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.01)
        launcher.send_signal(signal.SIGTERM)
        said, _ = launcher.communicate(timeout=60)
        with pytest.raises(ProcessLookupError):
            os.killpg(launcher.pid, 0)
    finally:
        if launcher.poll() is None:
            os.killpg(launcher.pid, signal.SIGKILL)
    assert launcher.returncode != 0
    status = run.status()
    assert status is not None and status.state == "preempted", said
    saved, _ = Checkpoints(run.checkpoints, keep=2).latest()
    assert saved is not None and saved.step == status.step == steps_of(run)[-1] < STEPS
    assert said.count("2 processes, each with its share of every batch") == 1

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    slurm = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost", "MASTER_PORT": port}
    tasks = [
        start([sys.executable, *PRETRAIN], tmp_path, **slurm, SLURM_PROCID=rank, SLURM_LOCALID=rank)
        for rank in ("0", "1")
    ]
    try:
        said = "".join(task.communicate(timeout=120)[0] for task in tasks)
    finally:
        for task in tasks:
            if task.poll() is None:
                task.kill()
    assert [task.returncode for task in tasks] == [0, 0], said
    assert steps_of(run) == list(range(1, STEPS + 1))
    notes = [record["text"] for record in run.metrics.read() if record["kind"] == "note"]
    assert f"resumed from {saved.path.name}" in notes
    assert not [note for note in notes if "may differ" in note]
    assert said.count(f"model:  {Path('runs') / 'run' / 'model'}") == 1
    assert (run.model / "model.safetensors").is_file()
