"""chrF: F-score of character n-grams, averaged over n = 1..6, recall weighing twice as much as precision.

Source: Popović (2015), as sacrebleu computes chrF2 by default: spaces left out, corpus counts, of several
references the one that scores best for the sentence.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from afterbert.downstream.metrics import Metric, ratio


@dataclass(frozen=True)
class ChrF(Metric):
    """
    >>> ChrF()(["the cat"], ["the cat"]), ChrF()([""], ["the cat"])
    (1.0, 0.0)
    """

    order: Annotated[int, Field(ge=1)] = 6
    beta: Annotated[float, Field(gt=0)] = 2.0

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """Returns counts [N, 3 order]: n-grams in common, of the prediction, of the reference."""
        out = np.zeros((len(truths), 3 * self.order))
        for row, (prediction, references) in enumerate(zip(predictions, truths, strict=True)):
            texts = (references,) if isinstance(references, str) else references
            counted = np.array([self._count(prediction, text) for text in texts])
            out[row] = counted[np.argmax(self.value(counted))]
        return out

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Returns the F-score of mean precision and mean recall, over the orders for which both sides have n-grams."""
        common, found, wanted = np.split(sums, 3, axis=-1)
        occurs = (found > 0) & (wanted > 0)
        orders = occurs.sum(axis=-1)
        precision = ratio(np.where(occurs, ratio(common, found), 0).sum(axis=-1), orders)
        recall = ratio(np.where(occurs, ratio(common, wanted), 0).sum(axis=-1), orders)
        weight = self.beta**2
        return ratio((1 + weight) * precision * recall, weight * precision + recall)

    def _count(self, prediction: str, reference: str) -> list[int]:
        mine, theirs = "".join(prediction.split()), "".join(reference.split())
        grams = [(_ngrams(mine, size), _ngrams(theirs, size)) for size in range(1, self.order + 1)]
        common = [(left & right).total() for left, right in grams]
        # A prediction's n-grams of an order that the reference is too short for are not held against it.
        return [
            *common,
            *(left.total() if right else 0 for left, right in grams),
            *(right.total() for _, right in grams),
        ]


def _ngrams(text: str, size: int) -> Counter[str]:
    return Counter(text[i : i + size] for i in range(len(text) - size + 1))
