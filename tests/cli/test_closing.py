"""`pretrain --pairs --probe`: what is asked at the end, of a run that is gone on with too."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from afterbert.cli.main import run

GOOD, BAD = "The old miller sings {n} songs.", "The old miller sing {n} songs."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    stories = (f"The {n}th miller sings by the river. He ends well, {n} times." for n in range(60))
    Path("stories.txt").write_text("\n\n\n".join(stories))
    pairs = ({"sentence_good": GOOD.format(n=n), "sentence_bad": BAD.format(n=n), "UID": "agreement"} for n in range(6))
    Path("pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    rows = (f"{'good' if n % 2 else 'bad'} mill number {n},{'yes' if n % 2 else 'no'}" for n in range(40))
    Path("mills.csv").write_text("text,label\n" + "\n".join(rows))
    return tmp_path


def figures() -> dict[str, int]:
    found = json.loads(Path("runs/one/evaluation.json").read_text())["without_training"]
    return {figure["name"]: figure["count"] for figure in found}


def test_a_run_that_is_gone_on_with_asks_what_it_was_told_to(folder: Path) -> None:
    tiny = ["--recipe", "bert-mlm", "--size", "tiny", "--length", "32", "--training.batch_size", "4"]
    tiny += ["--training.workers", "0", "--budget", "2steps", "--tokenizer.vocab_size", "300"]
    asked = ["--pairs", "pairs.jsonl", "--probe", "mills:mills.csv"]
    assert run(["pretrain", "stories.txt", "--name", "one", *tiny, *asked]) == 0
    before = figures()
    assert before["pairs of pairs"] == 6 and any(name.startswith("probe of mills") for name in before)
    Path("runs/one/evaluation.json").unlink()
    assert run(["pretrain", "--resume", "runs/one"]) == 0
    assert figures() == before
    noted = Path("runs/one/closing.json").read_text()
    Path("runs/one/closing.json").write_text(noted.replace("mills.csv", "mills.csw"))
    assert run(["pretrain", "--resume", "runs/one"]) == 2
    Path("runs/one/closing.json").write_text(noted)
    assert run(["pretrain", "--resume", "runs/one", "--pairs", "pairs.jsonl"]) == 0
    assert [name for name in figures() if name.startswith(("pairs of", "probe of"))] == ["pairs of pairs"]


def test_advice_names_what_pretrain_has(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd.csv").write_text("\n".join(f"{n * 7},{n % 3},{n % 5}" for n in range(40)))
    for option in ("--probe", "--pairs"):
        assert run(["pretrain", "stories.txt", "--budget", "1steps", "--recipe", "bert-mlm", option, "odd.csv"]) == 2
        said = capsys.readouterr().err
        assert "say it in a task file" in said and "--" not in said
        assert os.listdir("runs") == ["stores"]
    assert run(["pretrain", "stories.txt", "--mixing", "equl", "--out", "new"]) == 2
    assert not Path("new").exists()
