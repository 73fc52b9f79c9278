"""Exact match of answers: share of questions whose predicted text equals one of the true ones, after normalization."""

from dataclasses import dataclass

from afterbert.downstream.metrics._answers import AnswerMetric, Rule, Style, normalized


@dataclass(frozen=True)
class ExactMatch(AnswerMetric):
    """
    >>> ExactMatch()(["the tower", "x", ""], [("Tower!", "a tower"), (), ()])
    0.6666666666666666
    """

    style: Style = "auto"

    def likeness(self, prediction: str, truth: str, rule: Rule) -> float:
        return float(normalized(prediction, rule) == normalized(truth, rule))
