"""F1 of answers: mean over questions of the best word overlap with one of the true answers.

Source: SQuAD's evaluate-v1.1.py and evaluate-v2.0.py; for text without spaces cmrc2018_evaluate.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics._answers import Style, asked_for, overlap_f1, rule_for


@dataclass(frozen=True)
class AnswerF1(Metric):
    """style, truths and predictions as for exact match.

    >>> AnswerF1()(["the big tower"], [("Tower", "big tower of Pisa")])
    0.6666666666666666
    """

    style: Style = "auto"

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """[N, 2]: best overlap, 1."""
        out, rule = np.ones((len(truths), 2)), rule_for(truths, self.style)
        for row, (prediction, answers) in enumerate(zip(predictions, truths, strict=True)):
            texts = asked_for(answers, rule)
            out[row, 0] = max(overlap_f1(prediction, text, rule) for text in texts)
        return out

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Their mean."""
        return sums[..., 0] / sums[..., 1]
