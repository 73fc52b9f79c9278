"""What a recipe says and how its first steps go, laid down in files: results change on purpose only.

`make golden` writes the files anew; the review reads the difference. Losses are kept for each minor version of torch.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from tiny import VOCABULARY, first_losses, tiny_recipe

from afterbert.base import plugins
from afterbert.interop.families import Family
from afterbert.recipes import known, resolve

FOLDER = Path(__file__).parent / "golden"
LOSSES = FOLDER / "losses.json"
RENEW = os.environ.get("AFTERBERT_RENEW_GOLDEN") == "1"
TORCH = ".".join(torch.__version__.split(".")[:2])
STEPS = 4
# What a paper's recipe computes is exactly what transformers has under the paper's name.
FAMILIES = {
    "albert-sop": "albert",
    "bart": "bart",
    "bert": "bert",
    "distilbert": "distilbert",
    "electra": "electra",
    "gpt2": "gpt2",
    "laptop": "modernbert",
    "laptop-t5": "t5",
    "laptop-tlm": "modernbert",
    "mass": "bart",
    "roberta": "roberta",
    "spanbert": "bert",
    "t5": "t5",
    "unilm": "bert",
    "xlm": "xlm",
    "xlm-tlm": "xlm",
    "xlm-r": "xlm_roberta",
    "xlnet": "xlnet",
}


@pytest.mark.parametrize("name", known())
def test_golden_config(name: str) -> None:
    file, text = FOLDER / f"{name}.yaml", resolve(name).text(origins=False)
    if RENEW:
        file.write_text(text, encoding="utf-8")
    assert file.exists(), f"recipe {name} has no golden file yet; make golden"
    assert text == file.read_text(encoding="utf-8"), "if this is meant: make golden"


@pytest.mark.parametrize("size", ["tiny", "mini", "small", "base"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_papers_model_is_its_family_in_every_size(name: str, size: str) -> None:
    recipe = resolve(name, size=size).recipe
    plugins.find(Family, FAMILIES[name])().express(recipe.model, VOCABULARY)  # refuses what is not exact


@pytest.mark.parametrize("name", known())
def test_golden_losses(name: str) -> None:
    kept = json.loads(LOSSES.read_text()) if LOSSES.exists() else {}
    if TORCH not in kept and not RENEW:
        pytest.skip(f"no losses laid down for torch {TORCH}; make golden adds them")
    losses = first_losses(tiny_recipe(name, steps=STEPS), STEPS)
    if RENEW:
        kept.setdefault(TORCH, {})[name] = [float(f"{loss:.6g}") for loss in losses]
        LOSSES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    assert name in kept[TORCH], f"recipe {name} has no golden losses yet; make golden"
    # the last digits differ between processors, which add up in another order
    assert losses == pytest.approx(kept[TORCH][name], rel=2e-5), "if this is meant: make golden"


def test_no_golden_file_outlives_its_recipe() -> None:
    kept = json.loads(LOSSES.read_text())
    if RENEW:
        for file in FOLDER.glob("*.yaml"):
            if file.stem not in known():
                file.unlink()
        kept = {version: {name: losses[name] for name in known() if name in losses} for version, losses in kept.items()}
        LOSSES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(known())
    assert all(set(losses) <= set(known()) for losses in kept.values())
