"""Shuffle: the chosen pieces of a row change places with one another.

Source: T5 (1910.10683) Section 3.3.1, deshuffling, with selection `all`.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Shown
from afterbert.pretext.corruptions._edits import with_ids
from afterbert.pretext.draws import shuffled
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class Shuffle(Corruption):
    """The places stay, their content is exchanged: `origin` names the place, so `in_place` asks what belongs there.
    Starts of words and the like go with the pieces."""

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        bounds = np.searchsorted(chosen.positions, rows.row_starts)
        counts = np.diff(bounds)
        order = shuffled(noise, rows.keys, counts) + bounds[:-1, None]
        source = chosen.positions[order[np.arange(order.shape[1]) < counts[:, None]]]
        ids, planes = rows.piece_ids.copy(), {}
        ids[chosen.positions] = ids[source]
        for name, plane in rows.planes.items():
            if name.endswith(("_start", "_inside")):
                planes[name] = plane.copy()
                planes[name][chosen.positions] = plane[source]
        return with_ids(rows, ids, **planes)
