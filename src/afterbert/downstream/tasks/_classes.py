"""What classification of one text and of two have in common."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from afterbert.base.errors import UserError, did_you_mean
from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.metrics.f1 import F1
from afterbert.downstream.metrics.matthews import Matthews
from afterbert.downstream.reading.columns import is_missing, is_number, profile
from afterbert.downstream.tasks import Labelled
from afterbert.downstream.tasks._spelling import DOUBTFUL, one_spelling, spelled, without_meaning

# What known data sets call a column of texts, and one of class names.
_TEXT = "text sentence review content comment utterance tweet message document question title"
_LABEL = "label labels gold_label category class intent sentiment topic polarity emotion coarse target rating stars"
TEXT_NAMES, LABEL_NAMES = tuple(_TEXT.split()), tuple(_LABEL.split())

# A prediction that equals no label.
NO_CLASS = "<none of the labels>"


@dataclass(frozen=True)
class Classification(Labelled):
    """Label and prediction are a class name. The texts are the parts but the label, in order."""

    label_part: ClassVar[str | None] = "label"
    answer: ClassVar[str] = "class"
    usual_head: ClassVar[str | None] = "pooled"
    is_told_by_values: ClassVar[bool] = True

    labels: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    label_words: dict[str, str] = field(default_factory=dict)
    """Class -> the word a text-to-text model writes for it."""
    no_label: tuple[str, ...] | None = None
    """What is written where nobody knows the class, besides nothing and NaN; None: looked at in the training rows."""

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        texts = tuple(str(record.get(columns[part]) or "") for part in self.parts if part != "label")
        label = record.get(columns["label"]) if "label" in columns else None
        if isinstance(label, (list, tuple)) and len(label) > 1:
            findings.add("rows with several labels, which --kind multi_label takes", key)
        return Example(key, texts, class_label(label))

    def fits(self, table: Table, columns: Mapping[str, str]) -> bool:
        """Returns whether the labels can be classes: no numbers, and no texts that occur in one row only."""
        values = table.column(columns["label"])
        labels = [label for value in values if (label := class_label(value)) is not None]
        return profile(values) != "number" and not (len(labels) > 9 and 2 * len(set(labels)) > len(labels))

    def settled(self, examples: Sequence[Example]) -> Self:
        """Returns the task with labels from the examples, each in its most frequent spelling, and metrics from the
        labels: accuracy first, Matthews' correlation, and F1 of the class `1` where there are 0 and 1, else the mean
        over classes."""
        counts = Counter(example.label for example in examples if example.label is not None)
        no_label = without_meaning(counts) if self.no_label is None else self.no_label
        written = one_spelling({name: count for name, count in counts.items() if name not in no_label})
        labels = self.labels or label_names(written.values(), len(examples))
        if len(labels) < 2:
            raise UserError(f"the task names one label, '{labels[0]}'; name two or more, or leave labels out")
        for name in self.label_words:
            if name not in labels:
                raise UserError(f"label_words names '{name}', which is no label; {did_you_mean(name, list(labels))}")
        f1 = F1() if labels == ("0", "1") else F1("macro")
        metrics = self.metrics or (Accuracy(), f1, Matthews())
        return replace(self, labels=labels, no_label=no_label, metrics=metrics)

    def finished(self, examples: Sequence[Example], findings: Findings, *, is_scored: bool) -> tuple[Example, ...]:
        """Spells the labels as the task does, and notes what stands for no label."""
        return tuple(self._aligned(example, findings) for example in examples)

    def _aligned(self, example: Example, findings: Findings) -> Example:
        label = example.label
        if label in (self.no_label or ()) or (label in DOUBTFUL and label not in self.labels):
            findings.add(f"rows labelled '{label}', read as rows without a label", example.key)
            return replace(example, label=None)
        if label in DOUBTFUL:
            findings.add(
                f"rows labelled '{label}', a class like others (no_label in a task file leaves them out)", example.key
            )
        if label is None or label in self.labels:
            return example
        found = spelled(label, self.labels)
        if found != label:
            findings.add(f"labels '{label}' read as '{found}'", example.key)
        return replace(example, label=found)

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns the most frequent label, or the first in order of several."""
        counts = Counter(example.label for example in train or examples if example.label is not None)
        best = max(self.labels, key=lambda name: counts[name])
        of = "" if train else " of these rows"
        return Baseline(f"always '{best}', the most frequent label{of}", (best,) * len(examples))

    def target_text(self, label: Any) -> str:
        return self.label_words.get(label, label)

    def read_answer(self, written: str) -> Any:
        """Returns the label that a text names letter for letter; any other text is wrong (T5, Section 2.4)."""
        by_word = {self.label_words.get(label, label): label for label in self.labels}
        return by_word.get(written.strip(), NO_CLASS)

    def is_answer(self, prediction: Any) -> bool:
        return prediction in self.labels


def class_label(value: Any) -> str | None:
    """Returns a cell as a class name; None if it holds none.

    >>> class_label(" yes "), class_label("NaN"), class_label(True), class_label(3)
    ('yes', None, 'true', '3')
    >>> class_label(["a"]), class_label([1, 2])
    ('a', None)
    """
    if isinstance(value, (list, tuple)) and len(value) == 1:
        (value,) = value
    if isinstance(value, (dict, list, tuple)) or is_missing(value):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def label_names(given: Iterable[str], num_rows: int) -> tuple[str, ...]:
    """Returns the different ones of the labels that so many rows have, in a fixed order, numbers by size. Raises
    UserError if there are fewer than two."""
    names = set(given)
    if len(names) < 2:
        what = f"none has another label than '{names.pop()}'" if names else "none has a label"
        raise UserError(
            f"of {num_rows:,} training rows {what}, so there is nothing to learn; is the label column the right one?"
        )
    numeric = all(map(is_number, names))
    return tuple(sorted(names, key=lambda name: (float(name) if numeric else 0.0, name)))


def read_place(written: str) -> int:
    """Returns the place, from 0, of a number written from 1; -1 for any other text.

    >>> read_place(" 2"), read_place("two"), read_place("\uff12")
    (1, -1, -1)
    """
    written = written.strip()
    return int(written) - 1 if written.isascii() and written.isdigit() else -1
