"""A model is counted and its names are told without weights, and without PyTorch's compiler."""

import subprocess
import sys

TOLD = """
import sys
from afterbert.recipes import known, resolve
for name in known():
    model = resolve(name).recipe.model
    print(name, model.num_parameters(500) + model.num_lm_head_parameters(500), "torch._dynamo" in sys.modules)
"""


def test_no_skeleton_of_any_recipe_loads_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=True)
    assert "gpt2 " in done.stdout and "True" not in done.stdout, done.stdout
