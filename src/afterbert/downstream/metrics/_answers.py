"""How answers are compared: as SQuAD's official script does, and as CMRC 2018's does for text without spaces."""

import re
import string
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from afterbert.downstream.metrics import MeanMetric

Style = Literal["auto", "squad", "cmrc"]
Rule = Literal["squad", "cmrc"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# The characters that cmrc2018_evaluate.py leaves out (its two-character `……` never matches one character, so
# `…` stays).
_CMRC_SKIPPED = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_HAN = re.compile(r"[\u4e00-\u9fa5]")
# Han characters alone, everything else as words and single signs. The official script cuts the rest with
# NLTK's English tokenizer, which needs a download; the two differ only inside Latin text.
_CMRC_SEGMENT = re.compile(r"[\u4e00-\u9fa5]|[^\W\u4e00-\u9fa5]+|[^\w\s]")


class AnswerMetric(MeanMetric):
    """A truth is a tuple of `Answer`s or texts, of which the best counts; a prediction is a text. A question without
    answers is right when the prediction is empty (SQuAD 2.0).

    Source: SQuAD's evaluate-v1.1.py and evaluate-v2.0.py; for text without spaces cmrc2018_evaluate.py.
    """

    style: Style
    """`squad`, `cmrc` (Chinese), or `auto`, which takes the latter where most true answers of the set are Chinese."""

    @abstractmethod
    def likeness(self, prediction: str, truth: str, rule: Rule) -> float:
        """Returns how similar two answers are, from 0 to 1."""

    def of_each(self, predictions: Sequence[Any], truths: Sequence[Any]) -> list[float]:
        rule = rule_for(truths, self.style)
        return [
            max(self.likeness(prediction, text, rule) for text in asked_for(answers, rule))
            for prediction, answers in zip(predictions, truths, strict=True)
        ]


def rule_for(truths: Sequence[Sequence[Any]], style: Style) -> Rule:
    """Returns the rule by which the answers of a set are compared. `auto` compares by character when most questions
    that have an answer have one with a Han character, else by SQuAD's rules.

    >>> rule_for([("1998年",), ("巴黎", "Paris"), ()], "auto"), rule_for([("Paris",), ("the 巴黎 road",)], "auto")
    ('cmrc', 'squad')
    """
    if style != "auto":
        return style
    is_han = [any(_HAN.search(text) for text in _texts(answers)) for answers in truths if answers]
    return "cmrc" if 2 * sum(is_han) > len(is_han) else "squad"


def asked_for(answers: Sequence[Any], rule: Rule) -> list[str]:
    """Returns the texts, from texts or `Answer`s, that a prediction is compared with. Without any, the empty text is
    right. As in evaluate-v2.0.py, answers that the normalization empties are left out.

    >>> asked_for(("Paris", "the"), "squad"), asked_for((), "cmrc")
    (['Paris'], [''])
    """
    return [text for text in _texts(answers) if normalized(text, rule)] or [""]


def _texts(answers: Sequence[Any]) -> list[str]:
    return [getattr(answer, "text", answer) for answer in answers]


def normalized(text: str, rule: Rule) -> str:
    """Returns an answer in the form in which equal answers are equal.

    >>> normalized(" The  Eiffel Tower. ", "squad"), normalized("《村雨城》", "cmrc")
    ('eiffel tower', '村雨城')
    """
    if rule == "cmrc":
        return text.lower().strip().translate(_CMRC_SKIPPED)
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def overlap_f1(prediction: str, truth: str, rule: Rule) -> float:
    """Returns the F1 of the common words (squad: as bags), or of the longest common run of characters and words (cmrc).

    >>> overlap_f1("in the tower", "Tower", "squad")
    0.6666666666666666
    >>> overlap_f1("", "", "squad"), overlap_f1("", "a b", "squad")
    (1.0, 0.0)
    """
    if rule == "cmrc":
        found, wanted = (_CMRC_SEGMENT.findall(normalized(text, rule)) for text in (prediction, truth))
        common = _longest_common_run(found, wanted)
    else:
        found, wanted = normalized(prediction, rule).split(), normalized(truth, rule).split()
        common = sum((Counter(found) & Counter(wanted)).values())
    if not found or not wanted:
        return float(found == wanted)
    return 2 * common / (len(found) + len(wanted))


def _longest_common_run(left: list[str], right: list[str]) -> int:
    best, previous = 0, [0] * (len(right) + 1)
    for mine in left:
        current = [0]
        for j, theirs in enumerate(right):
            current.append(previous[j] + 1 if mine == theirs else 0)
        best, previous = max(best, *current), current
    return best
