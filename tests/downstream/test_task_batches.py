"""A row of fine-tuning is a row: micro-batches, memory that runs out and several processes change no gradient."""

import multiprocessing
import socket
from dataclasses import replace

import numpy as np
import pytest
import task_run
import torch

from afterbert.base.budget import Budget
from afterbert.base.mixing.equal import Equal
from afterbert.base.runs import RunFolder
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.objective import TaskModule
from afterbert.downstream.finetuning.runs import tune
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.heads.candidates import CandidatesHead
from afterbert.downstream.heads.pooled import Pooled
from afterbert.downstream.heads.token import Token
from afterbert.downstream.tasks.multiple_choice import MultipleChoice
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.training.distribution.parallel import Single
from afterbert.training.observers import Observer
from afterbert.training.precision import Precision
from afterbert.training.step import Passes
from invented_examples import invented

CPU = torch.device("cpu")


@pytest.fixture
def bench(tiny_model, data_of):
    """33 classified sentences, tagged ones and choices, in batches of 32: there are short ones too. No dropout."""
    rows = (invented(SentenceClassification()) * 5)[:33]
    rows = [replace(row, key=str(number)) for number, row in enumerate(rows)]
    tasks = [
        data_of(SentenceClassification(), "large", rows),
        data_of(Tagging(), "tags"),
        data_of(MultipleChoice(), "choices"),
    ]
    heads = {"large": Pooled(dropout=0.0), "tags": Token(dropout=0.0), "choices": CandidatesHead(dropout=0.0)}
    settings = FineTuning(
        heads=heads,
        length=64,
        batch_size=32,
        mixing=Equal(),
        precision="fp32",
        budget=Budget(6, "steps"),
        evaluate_every=None,
    )
    return Bench.of(tiny_model, tasks, settings)


def gradients(module, batches):
    module.zero_grad()
    found = Passes(Single(module), Precision("fp32", "")).gradient(batches)
    return found, {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def losses(path):
    records = RunFolder.open(path).metrics.read()
    return [(r["step"], r["loss"], r["grad_norm"]) for r in records if r["kind"] == "step"]


def test_one_batch_of_32_equals_four_of_8(bench):
    module, feed = bench.module().eval(), bench.feed(0)
    sizes = set()
    for step in range(6):
        (whole,), parts = feed.step(step), feed.step(step, micro_batch_size=8)
        sizes.add((sum(whole.counts.values()), len(parts)))
        assert np.concatenate([part.row_keys for part in parts]).tolist() == whole.row_keys.tolist()
        (one, expected), (other, found) = gradients(module, [whole]), gradients(module, parts)
        assert one.counts == other.counts and found.keys() == expected.keys()
        assert other.total == pytest.approx(one.total, rel=1e-5)
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    assert {(32, 4), (1, 1)} <= sizes


def test_each_process_reads_its_share_of_a_batch(bench):
    feed = bench.feed(0)
    for step in range(6):
        (whole,) = feed.step(step)
        shares = [batch for rank in range(3) for batch in feed.step(step, rank=rank, world_size=3)]
        keys = [key for share in shares for key in share.row_keys.tolist()]
        assert keys == whole.row_keys.tolist()
        assert sum(share.num_tokens for share in shares) == whole.num_tokens
        for name, count in whole.counts.items():
            assert sum(share.counts[name] for share in shares) == count


def test_a_batch_that_counts_nothing_leaves_no_trace(bench):
    module, feed = bench.module().eval(), bench.feed(0)
    step = next(n for n in range(20) if sum(feed.step(n)[0].counts.values()) == 1)
    shares = [feed.step(step, rank=rank, world_size=2)[0] for rank in range(2)]
    assert sorted(sum(share.counts.values()) for share in shares) == [0, 1]
    (alone, expected), (both, found) = gradients(module, feed.step(step)), gradients(module, shares)
    assert both.total == alone.total and both.num_tokens == alone.num_tokens
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, msg=name)


def test_memory_that_runs_out_halves_the_micro_batch(bench, tmp_path, monkeypatch):
    tune(bench, tmp_path / "roomy")
    hidden, notes = TaskModule.hidden, []

    def greedy(module, arrays):
        if module.training and arrays["unit_of"].max() >= 8:
            raise torch.OutOfMemoryError
        return hidden(module, arrays)

    class Noted(Observer):
        def on_note(self, text):
            notes.append(text)

    monkeypatch.setattr(TaskModule, "hidden", greedy)
    tune(replace(bench, observers=[Noted()]), tmp_path / "tight")
    assert any("micro-batches of 32 rows; going on with 8" in note for note in notes)
    ours, theirs = losses(tmp_path / "tight/seed-0"), losses(tmp_path / "roomy/seed-0")
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.fault
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("socket_enabled")
def test_two_processes_learn_as_one(bench, tmp_path):
    bench = bench.with_settings(replace(bench.settings, micro_batch_size=8))
    task_run.run_tasks(tmp_path / "one", bench)
    server = multiprocessing.get_context("forkserver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (str(tmp_path / "two"), bench)
    members = [
        server.Process(target=task_run.member, args=arguments, kwargs={"rank": rank, "size": 2, "port": port})
        for rank in range(2)
    ]
    for process in members:
        process.start()
    for process in members:
        process.join(60)
    codes = [process.exitcode for process in members]
    for process in members:
        process.kill()
    assert codes == [0, 0]
    assert len(losses(tmp_path / "one")) == 6
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4)
