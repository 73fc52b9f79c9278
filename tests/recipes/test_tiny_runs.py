"""Every recipe at size tiny: learns a few rows by heart, is saved and read back, and scores rows alone as it
scores them in a batch.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import asked, checkpoint, reloaded, tiny_recipe, trained

from afterbert.recipes import known

STEPS = 50
ROWS = [0, 1, 2]
# The loss after STEPS, as a share of the first one, stays below this.
BOUND = 0.25
BOUNDS = {
    "ernie": 0.6,  # three views, one of each stage
    "electra": 0.5,  # a generator of a quarter the width learns slower, and the better it gets, the harder the question
    "electra-adversarial": 0.6,  # the generator makes the question harder
    "laptop": 0.4,  # Muon; the optimizer of most recipes reaches a quarter
    "xlnet": 0.7,  # twelve rows, each in two directions, of which a sixth is asked
}


@pytest.mark.parametrize("name", known())
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
        if module.compares_rows:
            break
        apart = sum(scores.get(part, torch.zeros(())) for scores in alone)
        torch.testing.assert_close(score, apart, atol=1e-3, rtol=1e-4)


def test_segment_memory_goes_through_the_checkpoint(tmp_path: Path) -> None:
    recipe = tiny_recipe("xlnet", steps=2)
    module, _ = trained(recipe, tmp_path)
    kept = checkpoint(tmp_path).tensors("carried")
    assert kept["memory"].shape == (2, 4, 16, 128) and kept["memory"].any(), "layers, row slots, pieces, width"
    assert torch.equal(kept["memory"], module.carried_state()["memory"])
