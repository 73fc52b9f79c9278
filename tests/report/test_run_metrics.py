"""Reading metrics.jsonl: what is told, what is torn, and long files in bounded time."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from fabricated import fabricate

from afterbert.report import write_report
from afterbert.report.metrics import read_metrics, thinned_lines


def step(number: int, **facts) -> str:
    return (
        json.dumps({"kind": "step", "step": number, "loss": 3.0, "learning_rate": 1e-3, "tokens": 100 * number} | facts)
        + "\n"
    )


def test_columns_evaluations_and_notes(tmp_path):
    path = tmp_path / "metrics.jsonl"
    evaluation = json.dumps({"kind": "evaluation", "step": 2, "figures": {"loss": 2.5}}) + "\n"
    note = json.dumps({"kind": "spike", "step": 2, "text": "it jumped"}) + "\n"
    path.write_text(step(1, parts={"a": 1.0}) + step(2, grad_norm=0.5) + evaluation + note + '{"kind": "step", "st')
    found = read_metrics(path)
    assert found.columns["step"].tolist() == [1, 2]
    assert found.columns["tokens"].tolist() == [100, 200]
    np.testing.assert_array_equal(found.columns["grad_norm"], [np.nan, 0.5])
    np.testing.assert_array_equal(found.parts["a"], [1.0, np.nan])
    assert [(e.step, e.measures) for e in found.evaluations] == [(2, {"loss": 2.5})]
    assert [(n.step, n.text) for n in found.notes] == [(2, "it jumped")]
    assert (found.every, found.unreadable) == (1, 1)


def test_steps_taken_again_after_a_resume_count_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(step(1) + step(2, loss=9.0) + step(3, loss=9.0) + step(2, loss=2.0) + step(3, loss=1.0))
    found = read_metrics(path)
    assert found.columns["step"].tolist() == [1, 2, 3]
    assert found.columns["loss"].tolist() == [3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    "record", [{"kind": "step", "loss": "nan"}, {"kind": "step", "grad_norm": "inf"}, {"kind": "non_finite"}]
)
def test_steps_that_gave_no_number_are_kept(tmp_path, record):
    path = tmp_path / "metrics.jsonl"
    path.write_text(step(1) + json.dumps(record | {"step": 2}) + "\n" + step(3))
    assert read_metrics(path).not_finite.tolist() == [2]


def test_a_long_file_is_thinned_but_nothing_marked_is_lost(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [step(i, pad="x" * (i % 37)) for i in range(1, 60_001)]
    for at in range(500, 60_000, 1999):
        lines[at] = lines[at].replace('"pad"', '"mark"')
    path.write_text("".join(lines))
    found, every = thinned_lines(path, (b'"mark"',), most=1000)
    read = [line.decode() for line in found]
    assert 1000 <= len(read) <= 1100
    assert set(read) <= set(lines)
    assert [json.loads(line)["step"] for line in read] == sorted(json.loads(line)["step"] for line in read)
    assert {line for line in lines if "mark" in line} <= set(read)
    assert read[0] == lines[0]
    assert read[-2:] == lines[-2:]
    assert every == pytest.approx(60, rel=0.1)
    gaps = np.diff([json.loads(line)["step"] for line in read])
    assert gaps.max() < 3 * 60


def test_a_torn_end_of_a_long_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(step(i) for i in range(1, 60_001)) + '{"kind": "st')
    found = read_metrics(path)
    assert found.unreadable == 1
    assert found.last("step") == 60_000


@pytest.mark.parametrize("loss", ["3.123456789", '"nan"'])
def test_a_million_lines_take_under_two_seconds(tmp_path, loss):
    run = fabricate(tmp_path / "run", steps=10)
    head, tail = (
        '{"kind": "step", "step": ',
        f', "loss": {loss}, "learning_rate": 0.00291, "grad_norm": 1.2345, "tokens": 1234567}}\n',
    )
    with (run / "metrics.jsonl").open("w") as file:
        file.writelines(f"{head}{i}{tail}" for i in range(1, 1_000_001))
        file.write(json.dumps({"kind": "evaluation", "step": 1_000_000, "figures": {"masked_accuracy": 0.3}}) + "\n")
    begun = time.process_time()
    page = write_report(run)
    assert time.process_time() - begun < 2.0
    assert page.stat().st_size < 500_000
    assert "about one line in 100 of metrics.jsonl" in page.read_text()
