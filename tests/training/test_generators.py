"""Every generator goes on from where it stood."""

import random

import numpy as np
import torch

from afterbert.training.checkpoints import generators
from afterbert.training.checkpoints.generators import Generators

CPU = torch.device("cpu")


def draws():
    return (
        torch.rand(3).tolist(),
        torch.randn(2).tolist(),
        np.random.rand(2).tolist(),
        np.random.randn(3).tolist(),
        (random.random(), random.gauss(0, 1)),
    )


def test_generators():
    """Also with half a pair of normal numbers kept back, as numpy's and Python's generators do."""
    generators.seed(1)
    np.random.randn()
    random.gauss(0, 1)
    taken = Generators.now(CPU)
    packed = taken.packed()
    assert all(state.dtype == torch.uint8 for state in packed.values())
    first = draws()
    assert draws() != first
    for states in (taken, Generators.unpacked(packed)):
        states.put_back(CPU)
        assert draws() == first


def test_seeds():
    generators.seed(2**40)
    first = draws()
    generators.seed(2**40)
    assert draws() == first
    generators.seed(3)
    assert draws() != first
