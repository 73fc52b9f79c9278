"""The proof of exact resume: that it holds here, and that it would notice."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.cli import resume_proof as proving
from afterbert.cli.main import run
from afterbert.text.from_paths import sources_for
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.resume_evidence import Evidence, first_difference
from afterbert.workflows.resume_proof import SAVE_POINTS, Interruption, Proof, interruptions, proof_recipe
from invented_texts import documents

SMALL = [("length", "32"), ("training.batch_size", "4"), ("model.num_hidden_layers", "1")]
FLAGS = [word for key, value in SMALL for word in (f"--{key}", value)]

# In place of the command line: a toy run that forgets where the generators stood when it resumes.
FORGETFUL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
import toy_run
from afterbert.base.budget import Budget
from afterbert.training.checkpoints.generators import Generators
toy_run.torch.set_num_threads(1)
Generators.put_back = lambda *_: None
training = toy_run.toy_training(Budget(8, "steps"), checkpoint_every=Budget(2, "steps"))
folder = Path(sys.argv[sys.argv.index("--out") + 1], sys.argv[sys.argv.index("--name") + 1])
toy_run.run_toy(folder, training, observers=[toy_run.Slowly(0.05)])
"""


def write_run(root: Path, name: str, losses: Sequence[float], *, weights: bytes = b"w") -> RunFolder:
    made = RunFolder.create(root, name)
    for step, loss in enumerate(losses, start=1):
        clock = {"seconds": float(len(name)), "tokens_per_second": 1.0 / len(name)}
        made.metrics.append({"kind": "step", "step": step, "loss": loss, "parts": {"masked": loss}, **clock})
    made.metrics.append({"kind": "evaluation", "step": 3, "figures": {"loss": 2.0}, "seconds": len(name)})
    (made.checkpoints / "step-000003").mkdir()
    (made.checkpoints / "step-000003" / "model.safetensors").write_bytes(weights)
    return made


@pytest.mark.parametrize(
    ("losses", "weights", "said"),
    [
        ([3.0, 2.0, 1.0], b"w", ""),
        ([3.0, 2.0, 1.0000000000000002], b"w", "step 3: loss is 1.0000000000000002, uninterrupted it is 1.0"),
        ([3.0, 2.0], b"w", "step 3: kind is absent"),
        ([3.0, float("nan"), 1.0], b"w", "step 2: loss is nan, uninterrupted it is 2.0"),
        ([3.0, 2.0, 1.0], b"v", "checkpoint/model.safetensors is sha256"),
    ],
)
def test_one_bit_is_a_difference(losses: Sequence[float], weights: bytes, said: str, tmp_path: Path) -> None:
    expected = Evidence.of(write_run(tmp_path, "whole", [3.0, 2.0, 1.0]))
    found = Evidence.of(write_run(tmp_path, "broken", losses, weights=weights))
    difference = first_difference(expected, found)
    assert said in str(difference) and (difference is None) == (not said)


def test_a_step_that_is_there_twice_is_a_difference(tmp_path: Path) -> None:
    expected = Evidence.of(write_run(tmp_path, "whole", [3.0, 2.0]))
    twice = write_run(tmp_path, "broken", [3.0, 2.0])
    twice.metrics.append(twice.metrics.read()[1])
    assert "step 2: again kind is step" in str(first_difference(expected, Evidence.of(twice)))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("kills", "steps"), [(5, 40), (0, 10), (12, 85)])
def test_every_interruption_finds_the_run_at_work(kills: int, steps: int, seed: int) -> None:
    """However the moments fall, the run is not over when the last one comes."""
    every = steps // (kills + 5)
    plan, resumes_from = interruptions(kills, every=every, seed=seed), 0
    assert sorted(made.kind for made in plan) == ["SIGKILL"] * kills + ["SIGTERM"] + ["save"] * 5
    assert {made.point for made in plan if made.kind == "save"} == set(SAVE_POINTS)
    for made in plan:
        last = resumes_from + (every if made.kind == "save" else made.steps + 1)  # one more until it strikes
        assert last < steps
        survives = {"SIGTERM": last, "SIGKILL": last // every * every, "save": resumes_from}[made.kind]
        resumes_from = last if made.point == "before purge" else survives
    assert interruptions(kills, every=every, seed=seed) == plan


def test_too_many_kills_for_the_steps() -> None:
    with pytest.raises(UserError, match="take --steps 12 or more"):
        proof_recipe("bert-mlm", size=None, steps=11, kills=7, overrides=())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kills", "3"], "--kills has no effect without --prove-resume"),
        (["--training.seed", "3"], "--training.seed has no effect without --prove-resume"),
        (["--prove-resume", "berd"], "bert"),
        (["--prove-resume", "bert", "--store", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["doctor", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert not list(tmp_path.iterdir())


def test_a_signal_ends_the_proof_without_a_trace(tmp_path: Path, monkeypatch) -> None:
    def is_stopped(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(proving, "_bundled", is_stopped)
    assert run(["doctor", "--prove-resume", "bert-mlm", "--out", str(tmp_path / "out")]) == 143
    assert not list((tmp_path / "out").iterdir())
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proof")
    (folder / "texts.txt").write_text("\n\n".join(documents(200)), encoding="utf-8")
    sources = sources_for([str(folder / "texts.txt")])
    prepare(sources, folder / "store", tokenizer=WordPiece(vocab_size=200, lowercase=True), processes=1)
    return folder / "store"


@pytest.mark.fault
@pytest.mark.timeout(400)  # five starts of the command line
def test_a_recipe_with_memory_is_proven(
    store: Path, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = [
        Interruption("SIGKILL", steps=3, moment=0.5),
        Interruption("save", point="mid file"),
        Interruption("SIGTERM", steps=1),
    ]
    monkeypatch.setattr(proving, "interruptions", lambda *_, **__: plan)
    options = ["--store", str(store), "--steps", "12", "--kills", "1", "--out", str(tmp_path)]
    assert run(["doctor", "--prove-resume", "xlnet", *options, *FLAGS]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "proven: every bit of 12 steps, 3 evaluations, 5 tensor files" in said
    assert said.count(" ok") == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
@pytest.mark.timeout(400)
def test_what_a_resume_forgets_is_noticed(tmp_path: Path) -> None:
    toys = Path(__file__).parents[1] / "training"
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    command = [sys.executable, str(tmp_path / "forgetful.py"), str(toys)]
    prove = Proof(tmp_path, store=tmp_path / "store", recipe=tmp_path / "recipe.yaml", command=command)
    verdict = prove([Interruption("SIGKILL", steps=3)])
    assert not verdict.holds
    (struck,) = verdict.struck
    assert verdict.difference is not None and verdict.difference.step == struck.resumes_from + 1
    assert verdict.causes == [
        "two uninterrupted runs agree, so it was lost between stop and resume; the last one before it: SIGKILL, "
        f"resumed from step {struck.resumes_from}"
    ]


def test_a_run_that_cannot_finish_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-c", "import sys; print('error: store lost'); sys.exit(2)"]
    prove = Proof(tmp_path, store=tmp_path / "store", recipe=tmp_path / "recipe.yaml", command=command)
    with pytest.raises(UserError, match="did not come to its end") as caught:
        prove([])
    assert caught.value.lines[-1] == "store lost"
