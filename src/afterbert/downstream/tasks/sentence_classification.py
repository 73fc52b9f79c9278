"""One text, one of several classes (SST-2, CoLA, TREC, intents)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from afterbert.downstream.formats import Table
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.metrics.matthews import Matthews
from afterbert.downstream.reading.columns import Held
from afterbert.downstream.tasks._classes import LABEL_NAMES, TEXT_NAMES, Classification


@dataclass(frozen=True)
class SentenceClassification(Classification):
    """texts: the sentence.

    >>> from afterbert.downstream.example import Example
    >>> task = SentenceClassification().settled([Example("", (), label) for label in ("positive", "negative")])
    >>> task.labels, [metric.name for metric in task.metrics]
    (('negative', 'positive'), ['accuracy', 'f1_macro', 'matthews'])
    """

    parts: ClassVar[tuple[str, ...]] = ("text", "label")
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {"text": TEXT_NAMES, "label": LABEL_NAMES}
    precedence: ClassVar[int] = 1
    text_names: ClassVar[tuple[str, ...]] = ("sentence",)

    def offer(self, held: Held) -> dict[str, str]:
        """Returns the text and the classes. When there are two columns of text, neither is taken."""
        if len(held.texts) > 1:
            return {}
        return dict(zip(("text",), held.texts)) | dict(zip(("label",), held.label))

    def recognized(self, table: Table) -> tuple[Self, dict[str, str], str] | None:
        """Returns CoLA when the columns are `source<TAB>label<TAB>mark<TAB>sentence`, with a mark that is empty or a
        sign like `*` or `??`."""
        if table.has_header or len(table.columns) != 4:
            return None
        labels, marks = (set(map(str, table.column(name))) for name in ("2", "3"))
        if labels != {"0", "1"} or "" not in marks or not set("".join(marks)) <= set("*?#%"):
            return None
        task = replace(self, metrics=(Matthews(), Accuracy()))
        return task, {"text": "4", "label": "2"}, "CoLA's four columns"
