"""F1 of answers: mean over questions of the best word overlap with one of the true answers."""

from dataclasses import dataclass

from afterbert.downstream.metrics._answers import AnswerMetric, Rule, Style, overlap_f1


@dataclass(frozen=True)
class AnswerF1(AnswerMetric):
    """
    >>> AnswerF1()(["the big tower"], [("Tower", "big tower of Pisa")])
    0.6666666666666666
    """

    style: Style = "auto"

    def likeness(self, prediction: str, truth: str, rule: Rule) -> float:
        return overlap_f1(prediction, truth, rule)
