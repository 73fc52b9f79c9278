"""What only tells of the program starts without the libraries that train."""

from __future__ import annotations

import subprocess
import sys

import pytest

from afterbert.recipes import known, resolve
from afterbert.recipes.files import heading_of

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


@pytest.mark.parametrize("name", known())
def test_a_heading_says_what_the_built_recipe_says(name: str) -> None:
    heading, recipe = heading_of(name), resolve(name).recipe
    assert (heading.title, heading.paper) == (recipe.title, recipe.paper)
