"""Exact match of answers: share of questions whose predicted text equals one of the true ones, after normalization.

Source: SQuAD's evaluate-v1.1.py and evaluate-v2.0.py; for text without spaces cmrc2018_evaluate.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics._answers import Style, asked_for, normalized, rule_for


@dataclass(frozen=True)
class ExactMatch(Metric):
    """A question without answers is right when the prediction is empty (SQuAD 2.0). style: `squad`, `cmrc` (Chinese),
    or `auto`, which takes the latter where most true answers of the set are Chinese.

    A truth is a tuple of `Answer`s or texts; a prediction is a text.

    >>> ExactMatch()(["the tower", "x", ""], [("Tower!", "a tower"), (), ()])
    0.6666666666666666
    """

    style: Style = "auto"

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """[N, 2]: right or not, 1."""
        out, rule = np.ones((len(truths), 2)), rule_for(truths, self.style)
        for row, (prediction, answers) in enumerate(zip(predictions, truths, strict=True)):
            texts = asked_for(answers, rule)
            out[row, 0] = normalized(prediction, rule) in {normalized(text, rule) for text in texts}
        return out

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Right / all."""
        return sums[..., 0] / sums[..., 1]
