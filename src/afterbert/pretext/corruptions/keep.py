"""Keep: nothing changes. For tasks that hide by visibility alone: left to right (GPT-2), permutation (XLNet)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Effect, Shown
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class Keep(Corruption):
    """The rows as they are."""

    effect: ClassVar[Effect] = "nothing"

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        return Shown(rows, np.arange(rows.num_pieces))
