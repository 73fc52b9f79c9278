"""Imports point down only; `text` and `pretext` never import torch; siblings do not import each other."""

import ast
from functools import cache
from pathlib import Path

import pytest

import afterbert

ROOT = Path(afterbert.__file__).parent

# Lowest first. Layers on one line do not import each other.
LAYERS = [
    ["base"],
    ["text", "nn"],
    ["pretext"],
    ["models"],
    ["interop"],
    ["objectives"],
    ["training"],
    ["recipes"],
    ["downstream", "probes"],
    ["compression"],
    ["workflows"],
    ["study"],
    ["report"],
    ["api"],
    ["play"],
    ["cli"],
]
HEIGHT = {layer: i for i, line in enumerate(LAYERS) for layer in line}
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.parent != ROOT)
FOLDERS = sorted({path.parts[0] for path in FILES})


@cache
def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            found.add(node.module or "")
    return found


def files_of(folder: str) -> list[Path]:
    return [path for path in FILES if path.parts[0] == folder]


def test_every_folder_has_a_layer():
    assert set(FOLDERS) <= set(HEIGHT), f"no layer for {set(FOLDERS) - set(HEIGHT)}"


@pytest.mark.parametrize("own", FOLDERS)
def test_imports_point_down(own):
    for path in files_of(own):
        for module in imported(path):
            parts = module.split(".")
            if parts[0] != "afterbert" or len(parts) < 2:
                continue
            layer = parts[1]
            assert layer == own or HEIGHT[layer] < HEIGHT[own], f"{path} ({own}) imports {module} ({layer})"


@pytest.mark.parametrize("folder", ["base", "text", "pretext"])
def test_no_torch_below_the_models(folder):
    for path in files_of(folder):
        assert not any(module.split(".")[0] == "torch" for module in imported(path)), path
