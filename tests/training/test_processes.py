"""Several processes train one model: what they learn, how they stop, how they fail.

Processes are forked from a server that has imported torch but computed nothing, and meet on the loopback device.
"""

import json
import multiprocessing
import os
import signal
import socket
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import toy_run
from toy_run import ROUNDING, assert_same_weights, losses, run_toy, toy_evaluate, toy_feed, toy_module, toy_training

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.training import clock
from afterbert.training.averages.tail import Tail
from afterbert.training.checkpoints.checkpoint import Checkpoints
from afterbert.training.devices import default_device
from afterbert.training.distribution.distributed import timeout_from
from afterbert.training.distribution.launch import Launch, launched
from afterbert.training.distribution.processes import SingleProcess
from afterbert.training.observers import Observer
from afterbert.training.optimizers.adafactor import Adafactor
from afterbert.training.optimizers.lamb import Lamb
from afterbert.training.optimizers.muon import Muon
from afterbert.training.step import to_tensors

needs_others = [pytest.mark.fault, pytest.mark.timeout(300)]

# Seven rows for two processes in micro-batches of at most three: shares of 3 and 4, so 1 and 2 passes, and more
# where an epoch ends inside a batch.
UNEVEN = {
    "budget": Budget(20, "steps"),
    "batch_size": 7,
    "micro_batch_size": 3,
    "evaluate_every": Budget(6, "steps"),
    "workers": 1,
}
STILL = {"dropout": 0.0}


@pytest.fixture(scope="module")
def spawn():
    """Starts the processes of a run; whatever is still running at the end is killed."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["torch._dynamo", "torch.distributed.fsdp", "afterbert.training.trainer"])
    started = []

    def start(path, *, settings=UNEVEN, size=2, target=toy_run.member, each=lambda rank: {}, **options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        members = []
        for rank in range(size):
            own = {"rank": rank, "size": size, "port": port, **options, **each(rank)}
            name = f"{path}-said-{rank}"
            members.append(server.Process(target=target, name=name, args=(str(path), settings), kwargs=own))
        for member in members:
            member.start()
        started.extend(members)
        return members

    yield start
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


def ended(members, seconds=60):
    """Their exit codes; beside them in what pytest captures, what each said of an error."""
    until = time.monotonic() + seconds
    for member in members:
        member.join(max(0.0, until - time.monotonic()))
    assert all(member.exitcode is not None for member in members), "still running"
    for member in members:
        if (words := Path(member.name)).exists():
            print(f"{words.name}: {words.read_text()}")
    return [member.exitcode for member in members]


def wait_for_step(path, step, members):
    until = time.monotonic() + 60
    while True:
        metrics = RunFolder(path).metrics
        done = [record["step"] for record in metrics.read() if record["kind"] == "step"]
        if done and done[-1] >= step:
            return
        assert time.monotonic() < until, "waited in vain"
        assert all(member.is_alive() for member in members), "ended too early"
        time.sleep(0.01)


def said(path, rank):
    return (path.parent / f"{path.name}-said-{rank}").read_text()


def assert_near(one, other, steps, *, within):
    """Loss, parts and norm of every step agree up to this share of them (and as much)."""
    mine, theirs = losses(one), losses(other)
    assert list(mine) == list(theirs) == list(range(1, steps + 1))
    for step, values in mine.items():
        found, expected = ([float.fromhex(value) for value in both] for both in (values, theirs[step]))
        np.testing.assert_allclose(found, expected, rtol=within, atol=within, err_msg=f"step {step}")


class StopsTwice(Observer):
    """A signal for this process alone, after steps 6 and 13."""

    def on_step(self, record):
        if record["step"] in (6, 13):
            os.kill(os.getpid(), signal.SIGTERM)


def measured(module, step):
    """The scores of one batch, as evaluations make them; also draws from the generators."""
    toy_evaluate(module, step)
    with torch.inference_mode():
        arrays = to_tensors(toy_feed(toy_training()).step(0)[0].arrays, torch.device("cpu"))
        return {name: float(score) for name, score in module(arrays).items()}


@pytest.fixture(scope="module")
def by_one(tmp_path_factory):
    """The folder of an unbroken run of one process, by precision."""
    torch.set_num_threads(1)

    @cache
    def run(precision):
        path = tmp_path_factory.mktemp("runs") / "one"
        training = toy_training(**UNEVEN, precision=precision)
        run_toy(path, training, module=toy_module(**STILL), evaluate=measured)
        return path

    return run


@pytest.mark.timeout(600)  # several processes, each importing torch
class TestTogether:
    pytestmark = needs_others

    @pytest.mark.usefixtures("socket_enabled")
    @pytest.mark.parametrize(
        ("precision", "legs"),
        [
            ("fp32", [(1, "ddp"), (2, "ddp"), (1, "ddp")]),
            ("fp32", [(2, "fsdp"), (1, "fsdp"), (2, "fsdp")]),
            ("fp32", [(2, "ddp"), (2, "fsdp"), (3, "ddp")]),
            ("bf16", [(2, "ddp"), (1, "ddp"), (2, "fsdp")]),
        ],
        ids=str,
    )
    def test_other_numbers_of_processes_learn_the_same(self, spawn, by_one, tmp_path, precision, legs):
        """Three legs with signals between them: the losses of an unbroken single process, and its weights."""
        path, alone, within = tmp_path / "run", by_one(precision), ROUNDING[precision]
        for (size, parallel), codes in zip(legs, [143, 143, 0]):
            members = spawn(
                path,
                settings={**UNEVEN, "parallel": parallel, "precision": precision},
                size=size,
                module=STILL,
                evaluate=measured,
                observers=[StopsTwice],
            )
            assert ended(members) == [codes] * size
        assert_near(path, alone, 20, within=within)
        ours, theirs = toy_run.weights(path), toy_run.weights(alone)
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            np.testing.assert_allclose(tensor, theirs[name], atol=2 * within, err_msg=name)
        figures, expected = (
            [tuple(r["figures"].values()) for r in RunFolder(run).metrics.read() if r["kind"] == "evaluation"]
            for run in (path, alone)
        )
        np.testing.assert_allclose(figures, expected, rtol=within)

    @pytest.mark.usefixtures("socket_enabled")
    @pytest.mark.parametrize(
        "optimizer", [Adafactor(), Lamb(), Muon(), Muon(every=3)], ids=["adafactor", "lamb", "muon", "muon-every-3"]
    )
    def test_optimizers_that_look_at_whole_matrices(self, spawn, tmp_path, optimizer):
        """In shards, resumed by replicas, as in one process; the average of their weights too."""
        path, alone = tmp_path / "run", tmp_path / "one"
        settings = {**UNEVEN, "optimizer": optimizer, "average": Tail(share=0.6)}
        run_toy(alone, toy_training(**settings), module=toy_module(**STILL), evaluate=measured)
        for parallel, codes in (("fsdp", 143), ("ddp", 143), ("fsdp", 0)):
            members = spawn(
                path,
                settings={**settings, "parallel": parallel},
                module=STILL,
                evaluate=measured,
                observers=[StopsTwice],
            )
            assert ended(members) == [codes] * 2
        assert_near(path, alone, 20, within=1e-4)
        found = toy_run.weights(path)
        assert {name for name in found if name.startswith("average.")}
        for name, tensor in found.items():
            np.testing.assert_allclose(tensor, toy_run.weights(alone)[name], atol=1e-3, err_msg=name)
        figures, expected = (
            [tuple(r["figures"].values()) for r in RunFolder(run).metrics.read() if r["kind"] == "evaluation"]
            for run in (path, alone)
        )
        np.testing.assert_allclose(figures, expected, rtol=1e-3)

    @pytest.mark.usefixtures("socket_enabled")
    @pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
    def test_killed_and_resumed_to_the_same_bits(self, spawn, tmp_path, parallel):
        """With dropout, two workers of one run: one is killed, the other says which, and the resumed run ends as the
        unbroken one."""
        settings = {**UNEVEN, "checkpoint_every": Budget(4, "steps"), "parallel": parallel}
        unbroken, path = tmp_path / "unbroken", tmp_path / "run"
        assert ended(spawn(unbroken, settings=settings)) == [0, 0]
        members = spawn(path, settings=settings, timeout=8.0, observers=[Slow])
        wait_for_step(path, 6, members)
        members[1].kill()
        assert ended(members) == [2, -signal.SIGKILL]
        assert "process 1 of 2 no longer answers" in said(path, 0)
        assert f"--resume {path}" in said(path, 0)
        assert RunFolder(path).status().state == "failed"
        assert ended(spawn(path, settings=settings)) == [0, 0]
        assert losses(path) == losses(unbroken)
        assert_same_weights(path, unbroken)

    @pytest.mark.usefixtures("socket_enabled")
    @pytest.mark.parametrize("rank", [0, 1])
    def test_one_that_is_stopped_for_good_ends_the_other(self, spawn, tmp_path, rank):
        """SIGSTOP: it holds its connections and answers nothing; the other says which and how to go on."""
        path = tmp_path / "run"
        settings = {**UNEVEN, "checkpoint_every": Budget(4, "steps")}
        members = spawn(path, settings=settings, timeout=6.0, observers=[Slow])
        wait_for_step(path, 5, members)
        os.kill(members[rank].pid, signal.SIGSTOP)
        other = members[1 - rank]
        other.join(40)
        assert other.exitcode == 2
        assert f"process {rank} of 2" in said(path, 1 - rank)
        assert f"--resume {path}" in said(path, 1 - rank)

    @pytest.mark.usefixtures("socket_enabled")
    @pytest.mark.parametrize("rank", [0, 1])
    def test_a_signal_to_one_process_stops_all_at_the_same_step(self, spawn, tmp_path, rank):
        path = tmp_path / "run"
        members = spawn(path, observers=[Slow])
        wait_for_step(path, 3, members)
        os.kill(members[rank].pid, signal.SIGTERM)
        assert ended(members) == [143, 143]
        status = RunFolder(path).status()
        assert status.state == "preempted"
        saved, _ = Checkpoints(path / "checkpoints", keep=2).latest()
        assert saved.step == status.step >= 3
        assert {"rng-0.safetensors", "rng-1.safetensors"} < {entry.name for entry in saved.path.iterdir()}

    @pytest.mark.usefixtures("socket_enabled")
    @pytest.mark.parametrize("policy", ["stop", "skip"])
    def test_nan_in_one_process(self, spawn, tmp_path, policy):
        """At step 5, process 1 only: no update in any, and both have its batch."""
        path = tmp_path / "run"
        settings = {**UNEVEN, "budget": Budget(7, "steps"), "non_finite": policy}
        members = spawn(path, settings=settings, target=poisoned_member, module=STILL)
        if policy == "skip":
            assert ended(members) == [0, 0]
            assert 5 not in losses(path)
            (bad,) = [r for r in RunFolder(path).metrics.read() if r["kind"] == "non_finite"]
            assert "(in process 1 of 2)" in bad["text"]
            return
        assert ended(members) == [2, 2]
        assert "part 'masked' of the loss is nan (in process 1 of 2)" in said(path, 0)
        assert said(path, 1) == ""  # one of them speaks
        folder = path / "diagnosis" / "step-000005"
        seen = {rank: json.loads((folder / f"process-{rank}" / "diagnosis.json").read_text()) for rank in (0, 1)}
        assert "nan" in seen[1]["batches"][0]["sums"].values()
        assert "nan" not in seen[0]["batches"][0]["sums"].values()
        assert list(losses(path)) == [1, 2, 3, 4]

    @pytest.mark.usefixtures("socket_enabled")
    def test_what_one_process_cannot_go_on_with(self, spawn, tmp_path):
        """Memory runs out in process 1 only: both end, and each says what it knows."""
        path = tmp_path / "run"
        members = spawn(path, target=greedy_member)
        assert ended(members) == [2, 2]
        assert "process 1 of 2: memory runs out with micro-batches of 3 rows" in said(path, 1)
        assert "process 1 of 2 ended (memory runs out" in said(path, 0)

    @pytest.mark.usefixtures("socket_enabled")
    @pytest.mark.parametrize(("failures", "codes"), [(1, [0, 0]), (99, [2, 2])])
    def test_a_connection_that_breaks_is_made_again(self, spawn, tmp_path, failures, codes):
        """In process 1 only, once or always: both begin again together, or both say why they did not meet."""
        path = tmp_path / "run"
        settings = {**UNEVEN, "budget": Budget(2, "steps")}
        members = spawn(path, settings=settings, target=unlucky_member, each=lambda rank: {"failures": failures * rank})
        assert ended(members) == codes
        for rank in (0, 1) if failures > 1 else ():
            assert f"process {rank} of 2 did not meet the others at 127.0.0.1" in said(path, rank)
            assert "refused for once" in said(path, rank)

    @pytest.mark.usefixtures("socket_enabled")
    def test_a_time_becomes_one_number_of_steps(self, spawn, tmp_path):
        path = tmp_path / "run"
        settings = {**UNEVEN, "budget": Budget(1, "seconds"), "evaluate_every": None}
        assert ended(spawn(path, settings=settings, target=timed_member)) == [0, 0]
        steps = json.loads((path / "course.json").read_text())["total_steps"]
        assert RunFolder(path).status().step == steps > 1


def unlucky_member(path, settings, *, failures, **options):
    """One that is told of a broken connection by the first so many attempts."""
    connect, left = dist.init_process_group, [failures]

    def init_process_group(*arguments, **named):
        connect(*arguments, **named)
        left[0] -= 1
        if left[0] >= 0:
            raise RuntimeError("refused for once")

    dist.init_process_group = init_process_group
    toy_run.member(path, settings, **options)


class Slow(Observer):
    def on_step(self, record):
        time.sleep(0.03)


def poisoned_member(path, settings, *, rank, **options):
    """One that meets a NaN in step 5, where it is process 1."""
    real = toy_run.pose
    bad = set(toy_feed(toy_training(**settings)).step(4, micro_batch_size=3, rank=1, world_size=2)[0].row_keys.tolist())

    class Poisoned(toy_run.ToyModule):
        def forward(self, arrays):
            scores = super().forward(arrays)
            return {**scores, "masked": scores["masked"] * arrays["poison"]}

    def pose(plan, numbers, noise):
        batch = real(plan, numbers, noise)
        is_bad = rank == 1 and bad == set(batch.row_keys.tolist())
        arrays = {**batch.arrays, "poison": np.array(np.nan if is_bad else 1.0, np.float32)}
        return type(batch)(arrays, batch.counts, batch.num_tokens, batch.row_keys)

    toy_run.ToyModule = Poisoned
    toy_run.member(path, settings, rank=rank, feed=toy_feed(toy_training(**settings), pose=pose), **options)


def timed_member(path, settings, **options):
    """One whose steps last as long as the clock is looked at."""
    clock.time = toy_run.Ticks()
    toy_run.member(path, settings, **options)


def greedy_member(path, settings, *, rank, **options):
    """One that finds no memory, where it is process 1."""

    class Greedy(toy_run.ToyModule):
        def forward(self, arrays):
            if rank == 1:
                raise torch.OutOfMemoryError("no memory")
            return super().forward(arrays)

    toy_run.ToyModule = Greedy
    toy_run.member(path, settings, rank=rank, timeout=5.0, **options)


@pytest.mark.parametrize(("batch_size", "size"), [(8, 2), (7, 3), (5, 5)])
@pytest.mark.parametrize("order", ["shuffled", "contiguous"])
def test_all_processes_together_read_what_one_reads(batch_size, size, order):
    """Ids, masks and keys of twelve steps, epochs ending inside."""
    feed = toy_feed(toy_training(batch_size=batch_size, order=order))
    for step in range(12):
        alone = feed.step(step, micro_batch_size=1)
        others = [
            batch for rank in range(size) for batch in feed.step(step, micro_batch_size=1, rank=rank, world_size=size)
        ]
        assert len(alone) == len(others) == batch_size
        for mine, theirs in zip(alone, others):
            for name in mine.arrays:
                np.testing.assert_array_equal(mine.arrays[name], theirs.arrays[name])


class Nine(SingleProcess):
    """As if there were eight more."""

    size = 9


def test_more_processes_than_rows(tmp_path):
    with pytest.raises(UserError, match="batch_size 8 is less than one row for each of 9 processes"):
        run_toy(tmp_path / "run", processes=Nine())


def test_slurm_says_who_is_who():
    step = {
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_PROCID": "3",
        "SLURM_LOCALID": "1",
        "SLURM_JOB_ID": "12",
        "SLURM_JOB_NODELIST": "gpu[07-08]",
    }
    found = launched(step)
    assert found is not None
    assert (found.rank, found.size, found.local_rank, found.address) == (3, 4, 1, "gpu07")
    assert launched({**step, "SLURM_PROCID": "0"}).port == found.port
    assert launched({**step, "SLURM_JOB_ID": "13"}).port != found.port
    assert launched({**step, "MASTER_ADDR": "head", "MASTER_PORT": "9"}).port == 9
    assert launched({**step, "CUDA_VISIBLE_DEVICES": "0"}).local_rank == 0
    assert launched({**step, "CUDA_VISIBLE_DEVICES": "0,1"}).local_rank == 1
    batch_script = {k: v for k, v in step.items() if k != "SLURM_STEP_NUM_TASKS"} | {"SLURM_NTASKS": "4"}
    assert launched(batch_script) is None
    under_srun = {**step, "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "5"}
    assert launched({**under_srun, "TORCHELASTIC_RESTART_COUNT": "2"}).attempt == 2
    assert launched(under_srun) == Launch(rank=0, size=2, local_rank=0, address="a", port=5)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_PORT": "1"}, "process 2 of 2"),
        ({"RANK": "one", "WORLD_SIZE": "2", "MASTER_PORT": "1"}, "RANK is 'one'"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "MASTER_PORT is None"),
    ],
)
def test_launchers_that_make_no_sense(environment, message):
    with pytest.raises(UserError, match=message):
        launched(environment)


def test_a_launcher_of_one():
    assert launched({"RANK": "0", "WORLD_SIZE": "1", "MASTER_PORT": "1"}) is None


@pytest.mark.parametrize("written", ["soon", "0", "-1", "inf", "nan"])
def test_timeouts_that_are_none(written):
    with pytest.raises(UserError, match="AFTERBERT_PROCESS_TIMEOUT"):
        timeout_from({"AFTERBERT_PROCESS_TIMEOUT": written})


def test_one_gpu_a_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    launch = Launch(rank=5, size=8, local_rank=1, address="a", port=1)
    assert default_device(launch.local_rank) == torch.device("cuda", 1)
    with pytest.raises(UserError, match="process 2 of this machine finds 2 GPUs"):
        default_device(2)
