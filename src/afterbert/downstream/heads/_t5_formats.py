"""How T5 writes the tasks it knows: what it calls their texts, in which order, and the words for their labels.

Source: T5 (1910.10683), Appendix D; its release, `t5/data/preprocessors.py`, writes the features of GLUE and SuperGLUE
by the alphabet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from afterbert.downstream.example import Example
from afterbert.downstream.reading.t5_records import FORMS
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.sentence_classification import SentenceClassification


@dataclass(frozen=True)
class TaskFormat:
    """prefix: before the texts. names: in the order in which they are written; order: which of the row's texts each
    is; without names a row is one text, written as it is. words: label as data sets number it -> its word; data that
    has the words already keeps them."""

    prefix: str
    names: tuple[str, ...]
    order: tuple[int, ...]
    words: Mapping[str, str] = field(default_factory=dict)

    def source(self, example: Example, prefix: str) -> str:
        """Returns a row as one text."""
        if not self.names:
            return example.texts[0]
        named = [f"{name}: {example.texts[place]}" for name, place in zip(self.names, self.order)]
        return " ".join([prefix, *named] if prefix else named)

    def spelled(self, task: Task) -> Task:
        """Returns the task with T5's words for its labels, when T5 has some and none were given."""
        if not isinstance(task, (SentenceClassification, PairClassification)) or task.label_words:
            return task
        if not set(task.labels) <= set(self.words):
            return task
        return replace(task, label_words={label: self.words[label] for label in task.labels})


def _words(*in_order: str) -> dict[str, str]:
    return {str(number): word for number, word in enumerate(in_order)}


_ENTAILED = _words("entailment", "not_entailment")
_THREE = _words("entailment", "neutral", "contradiction")
_ONE, _TWO = ("sentence",), ("sentence1", "sentence2")
_FACTS = {"true": "True", "false": "False"} | _words("False", "True")

FORMATS = {
    "cola": TaskFormat("cola", _ONE, (0,), _words("unacceptable", "acceptable")),
    "sst2": TaskFormat("sst2", _ONE, (0,), _words("negative", "positive")),
    "mrpc": TaskFormat("mrpc", _TWO, (0, 1), _words("not_equivalent", "equivalent")),
    "stsb": TaskFormat("stsb", _TWO, (0, 1)),
    "qqp": TaskFormat("qqp", ("question1", "question2"), (0, 1), _words("not_duplicate", "duplicate")),
    "mnli": TaskFormat("mnli", ("hypothesis", "premise"), (1, 0), _THREE),
    "qnli": TaskFormat("qnli", ("question", "sentence"), (0, 1), _ENTAILED),
    "rte": TaskFormat("rte", _TWO, (0, 1), _ENTAILED),
    "wnli": TaskFormat("wnli", _TWO, (0, 1), _words("not_entailment", "entailment")),
    "cb": TaskFormat("cb", ("hypothesis", "premise"), (1, 0), _words("entailment", "contradiction", "neutral")),
    "boolq": TaskFormat("boolq", ("passage", "question"), (1, 0), _FACTS),
    "squad": TaskFormat("", ("question", "context"), (0, 1)),
    # rows that come as one text already, see `reading/t5_records.py`
    **{form.name: TaskFormat("", (), (0,)) for form in FORMS},
}


def format_of(name: str) -> str:
    """T5's name of a task, the word with which its own name begins; empty where T5 knows none.

    >>> format_of("qnli_part"), format_of("STS-B"), format_of("reviews")
    ('qnli', 'stsb', '')
    """
    plain = re.sub(r"^(sst|sts)-", r"\1", name.lower())
    word = re.split(r"[^a-z0-9]", plain)[0]
    return word if word in FORMATS else ""
