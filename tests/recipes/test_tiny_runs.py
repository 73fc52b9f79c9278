"""Every recipe at size tiny: learns a few rows by heart, is saved and read back, and scores rows alone as it
scores them in a batch.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import asked, reloaded, tiny_recipe, trained

from afterbert.base.plugins import name_of
from afterbert.recipes import known, resolve

STEPS = 50
ROWS = [0, 1, 2]
# The loss after STEPS, as a share of the first one, stays below this.
BOUND = 0.25
BOUNDS = {
    "ernie": 0.6,  # three views, one of each stage
    "electra": 0.5,  # a generator of a quarter the width learns slower, and the better it gets, the harder the question
    "xlnet": 0.7,  # twelve rows, each in two directions, of which a sixth is asked
}


def _cases() -> list:
    """All recipes; fast is the first of each objective."""
    found, seen = [], set()
    for name in ["bert", *known()]:
        kind = name_of(resolve(name).recipe.objective)
        marks = [pytest.mark.slow] if kind in seen else []
        if name not in [case.values[0] for case in found]:
            found.append(pytest.param(name, marks=marks, id=name))
        seen.add(kind)
    return found


@pytest.mark.parametrize("name", _cases())
def test_a_tiny_run(name: str, tmp_path: Path) -> None:
    recipe = tiny_recipe(name, steps=STEPS)
    module, losses = trained(recipe, tmp_path)
    assert len(losses) == STEPS
    assert losses[-1] < BOUNDS.get(name, BOUND) * losses[0]
    batch = asked(recipe, ROWS)
    with torch.no_grad():
        said, again = module.predict(batch), reloaded(recipe, tmp_path).predict(batch)
        together, alone = module(batch), [module(asked(recipe, [row])) for row in ROWS]
    assert said.numel() and torch.equal(said, again), "read back"
    for part, score in together.items():
        apart = sum(scores.get(part, torch.zeros(())) for scores in alone)
        torch.testing.assert_close(score, apart, atol=1e-3, rtol=1e-4)
