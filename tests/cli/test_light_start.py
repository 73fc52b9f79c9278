"""What only tells of the program starts without the libraries that train."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from afterbert.base.errors import UserError
from afterbert.base.plugins import listed
from afterbert.cli.main import run
from afterbert.cli.verbs import PANELS
from afterbert.recipes import known, resolve
from afterbert.recipes.files import heading_of
from afterbert.recipes.question import question_of
from afterbert.text.tokenizers.wordpiece import WordPiece

TEXT = "The cat sat on the mat. It was not amused. Then it left."
HEAVY = {"torch", "transformers", "numpy", "scipy", "sklearn", "matplotlib", "tokenizers", "safetensors"}
TOLD = """
import sys
from afterbert.cli.main import run
status = run(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Usage:"),
        (["--help"], "Usage:"),
        (["--version"], "afterbert "),
        (["recipes"], "spanbert"),
        *([[verb, "--help"], "Usage:"] for verb in ("pretrain", "finetune", "fill", "show", "score", "doctor")),
    ],
)
def test_nothing_heavy_is_imported(arguments: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, "-c", TOLD, *arguments], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0 and says in done.stdout, done.stderr
    (imported,) = done.stderr.splitlines()  # nothing else is told there
    assert not HEAVY & set(imported.split())


def test_a_command_ends_without_looking_for_garbage() -> None:
    code = (
        "import atexit, gc\n"
        "from afterbert.cli.main import main\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split()[-1] == "True", done.stderr


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    made = WordPiece(vocab_size=120, min_frequency=1, sentinels=8, lowercase=True)
    made.make([TEXT] * 9, corpus_bytes=900).save(folder)
    return str(folder)


def test_what_every_recipe_asks_is_shown_without_pytorch(tokenizer: str, tmp_path: Path) -> None:
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("the mat\n")
    arguments = ["show", TEXT, "--recipe", "all", "--tokenizer", tokenizer, "--phrases", str(phrases)]
    done = subprocess.run([sys.executable, "-c", TOLD, *arguments], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert all(f"\n{name}: " in done.stdout for name in known())
    assert not (HEAVY - {"numpy", "tokenizers"}) & set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("name", known())
def test_what_is_asked_is_read_alone_as_with_the_model(name: str) -> None:
    for size in (None, *heading_of(name).sizes):
        assert question_of(name, size=size) == resolve(name, size=size).question


def test_settings_of_ones_own_are_checked_against_the_model() -> None:
    with pytest.raises(UserError, match="needs a model that reads both ways"):
        question_of("bert-mlm", overrides=[("model.type", "decoder")])


def test_the_list_of_verbs_draws_no_boxes_and_loads_nothing_that_does() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD, "--help"], capture_output=True, text=True, encoding="utf-8")
    assert "rich" not in done.stderr.split()
    verbs = re.findall(r"^  ([a-z][a-z-]*) ", done.stdout.partition(f"{PANELS[0]}:")[2], re.MULTILINE)
    assert set(verbs) == {name.strip("_").replace("_", "-") for name in listed("afterbert.cli.verbs")}
    assert all(f"\n{panel}:\n" in done.stdout for panel in PANELS)


@pytest.mark.parametrize(
    ("words", "number", "offered"),
    [("afterbert pre", 1, {"prepare", "pretrain", "predict"}), ("afterbert fill --m", 2, {"--model"})],
)
def test_a_shell_completes_verbs_and_options(words: str, number: int, offered: set[str]) -> None:
    asked = {"_AFTERBERT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    code = "import sys; sys.argv[0] = 'afterbert'; from afterbert.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True)
    assert set(done.stdout.split()) == offered, done


def test_windows_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("afterbert.training.process_setup.sys", SimpleNamespace(platform="win32"))
    assert run(["recipes"]) == 2
    assert "WSL" in capsys.readouterr().err


@pytest.mark.parametrize("name", known())
def test_a_heading_says_what_the_built_recipe_says(name: str) -> None:
    heading, recipe = heading_of(name), resolve(name).recipe
    assert (heading.title, heading.paper) == (recipe.title, recipe.paper)
