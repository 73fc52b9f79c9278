"""Entity F1: a predicted entity counts when its type and both its ends are right.

Source: conlleval (CoNLL-2000 and 2003 shared tasks), as seqeval computes it by default: broken schemes are
read as conlleval does, so an `I-` after `O`, or of another type than its neighbour, begins an entity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric, ratio


@dataclass(frozen=True)
class EntityF1(Metric):
    """For BIO, BIOES and IO tags alike.

    >>> EntityF1()([["B-PER", "I-PER", "O"]], [["B-PER", "I-PER", "B-LOC"]])
    0.6666666666666666
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """Returns counts [N, 3]: right, predicted and true entities of each sentence."""
        out = np.zeros((len(truths), 3))
        for row, (tags, true) in enumerate(zip(predictions, truths, strict=True)):
            found, wanted = set(entities(tags)), set(entities(true))
            out[row] = len(found & wanted), len(found), len(wanted)
        return out

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Returns micro-averaged F1: 2 right / (predicted + true)."""
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Returns (type, first word, word after the last) of each entity.

    >>> entities(["I-PER", "I-LOC", "O", "S-LOC", "B-X", "E-X"])
    [('PER', 0, 1), ('LOC', 1, 2), ('LOC', 3, 4), ('X', 4, 6)]
    """
    found: list[tuple[str, int, int]] = []
    start, kind, before = -1, "", "O"
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, own = tag.partition("-")
        begins = prefix != "O" and (prefix in ("B", "S") or before in ("O", "E", "S") or own != kind)
        if start >= 0 and (begins or prefix == "O"):
            found.append((kind, start, i))
            start = -1
        if begins:
            start = i
        kind, before = own, prefix
    return found
