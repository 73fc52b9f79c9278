"""Every command the README shows works as it stands (with a shorter budget)."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from afterbert.cli.main import run

ROOT = Path(__file__).parent.parent
SHELL = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
COMMANDS = [line for block in SHELL for line in block.splitlines() if line.strip()]
OURS = [line for line in COMMANDS if line.startswith("afterbert ")]

SENTENCE = "the law of a land is what its people keep and what its courts say when they do not"
WORDS = SENTENCE.split()


def sentences(count, seed):
    import random

    draw = random.Random(seed)
    return " ".join(" ".join(draw.choices(WORDS, k=draw.randint(5, 12))).capitalize() + "." for _ in range(count))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with texts, as the README's reader has it."""
    folder = tmp_path_factory.mktemp("readme")
    for name, count in (("my_texts", 40), ("other_texts", 6)):
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number}.txt").write_text(sentences(12, f"{name}{number}"))
    rows = [f"{sentences(1, f'row{n}')},{'yes' if n % 2 else 'no'}" for n in range(20)]
    (folder / "labelled.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return folder


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make ")])
def test_make_targets_exist(line):
    subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_nothing_else_is_shown():
    known = ("make ", "afterbert ", "source .venv/bin/activate")
    assert [line for line in COMMANDS if not line.startswith(known)] == []


@pytest.mark.timeout(400)  # a dozen commands, each a process of its own
def test_our_commands_run_in_their_order(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    for line in OURS:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "pretrain":
            words = [w for w in words if w not in ("--budget", "10min")] + ["--budget", "3steps"]
        name = next((path.name for path in place.glob("runs/laptop-*")), "none yet")
        words = [word.replace("runs/NAME", f"runs/{name}") for word in words]
        assert run(words) == 0, (line, capsys.readouterr())
    for block in PYTHON:
        exec(block.replace("runs/NAME", f"runs/{name}"), {})
    assert "score" in capsys.readouterr().out
