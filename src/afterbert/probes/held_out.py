"""The objective's own score on held-out rows, with noise that is the same for every evaluation of a run."""

from collections import defaultdict
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from afterbert.base.noise import Noise
from afterbert.base.stages import moments
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.text.token_store.store import Split
from afterbert.training.devices import device_of

_SEED = 20_190_811
_MOST_ROWS, _AT_ONCE = 256, 32


class HeldOutScore(NamedTuple):
    """figures: `loss` (weighted sum of the parts' means), `loss_<part>` where there are several, and the module's own
    measures; counts: of how many things each measure is a mean."""

    figures: dict[str, float]
    counts: dict[str, int]


def held_out_score(
    module: ObjectiveModule, objective: Objective, split: Split, vocabulary: Vocabulary, *, length: int
) -> HeldOutScore:
    """Returns what the objective scores on held-out rows.

    The rows are spread evenly over the split. What goes through stages is asked the questions of each of them, so that
    figures of one run can be compared. What they are not asked has no figure. Leaves the module in the mode it was in,
    and torch's generator untouched.
    """
    noise = Noise(_SEED).of("held_out")
    plan = objective.plan(split, length=length, vocabulary=vocabulary, noise=noise)
    count = min(_MOST_ROWS, len(plan))
    numbers = np.arange(count) * len(plan) // max(count, 1)
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    measured: dict[str, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    stages = moments([stages for stages in objective.course() if not stages.in_training])
    was_training, device = module.training, device_of(module)
    module.eval()
    try:
        with torch.inference_mode():
            for some, at in product(np.split(numbers, range(_AT_ONCE, count, _AT_ONCE)), stages):
                batch = objective.pose(plan, some, noise.at(at), vocabulary=vocabulary, length=length)
                arrays = {name: torch.as_tensor(array, device=device) for name, array in batch.arrays.items()}
                for part, score in module(arrays).items():
                    sums[part] += float(score)
                    counts[part] += batch.counts[part]
                for name, (total, number) in module.measure(arrays).items():
                    measured[name] = (measured[name][0] + float(total), measured[name][1] + number)
    finally:
        module.train(was_training)
    means = {part: sums[part] / counts[part] for part in sums if counts[part]}
    found = {"loss": sum(module.loss_weights[part] * mean for part, mean in means.items())} if means else {}
    if len(sums) > 1:
        found |= {f"loss_{part}": mean for part, mean in means.items()}
    asked = {name: number for name, (_, number) in measured.items() if number}
    return HeldOutScore(found | {name: measured[name][0] / number for name, number in asked.items()}, asked)
