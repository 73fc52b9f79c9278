"""Muon moves what leads from hidden states to hidden states, in a stack or in a head."""

from __future__ import annotations

import pytest
from tiny import fresh, tiny_recipe
from torch import nn

from afterbert.recipes import known
from afterbert.training.optimizers.muon import hidden_matrices_of

FEW = 2  # what decides between so few answers, or is one gate, is a vector rather than a matrix


@pytest.mark.parametrize("name", known())
def test_linear_layers_between_hidden_states_say_that_they_are_hidden(name: str) -> None:
    module = fresh(tiny_recipe(name, steps=3))
    said = {id(weight) for weight, _ in hidden_matrices_of(module)}
    silent = [
        layer
        for layer, part in module.named_modules()
        if isinstance(part, nn.Linear) and id(part.weight) not in said and part.out_features > FEW
    ]
    # the layer that widens a narrow table belongs to the table
    assert [layer for layer in silent if not layer.endswith("embeddings.widen")] == []
