"""For each query, which of its candidates is relevant (QNLI as MT-DNN ranks it, passage retrieval)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import xxhash

from afterbert.base.errors import UserError
from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.first_relevant import FirstRelevant
from afterbert.downstream.metrics.reciprocal_rank import ReciprocalRank
from afterbert.downstream.reading.columns import Held, is_number
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks._classes import LABEL_NAMES, class_label, read_place

_RELEVANT = ("true", "yes", "relevant", "entailment", "positive")


@dataclass(frozen=True)
class Ranking(Task):
    """Rows hold a query, a candidate and whether it is relevant; rows of one query make one example.

    texts: the query, then its candidates. label: numbers of the relevant candidates from 0. prediction: numbers of all,
    best first.
    """

    parts: ClassVar[tuple[str, ...]] = ("query", "candidate", "label")
    label_part: ClassVar[str | None] = "label"
    answer: ClassVar[str] = "order"
    usual_head: ClassVar[str | None] = "candidates"
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "query": ("query", "question"),
        "candidate": ("candidate", "passage", "sentence", "document"),
        "label": LABEL_NAMES,
    }
    precedence: ClassVar[int] = 0
    text_names: ClassVar[tuple[str, ...]] = ("query", "candidate")

    relevant: str | None = None
    """The label for relevant; left out: a number above 0, or `true`, `yes`, `relevant`, `entailment`, `positive`."""
    metrics: tuple[Metric, ...] = (FirstRelevant(), ReciprocalRank())

    def offer(self, held: Held) -> dict[str, str]:
        return dict(zip(self.parts, [*held.texts[:2], *held.label]))

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        texts = tuple(str(record.get(columns[part]) or "") for part in ("query", "candidate"))
        label = class_label(record.get(columns["label"])) if "label" in columns else None
        return Example(key, texts, None if label is None else (0,) if self._is_relevant(label) else ())

    def examples(self, table: Table, columns: Mapping[str, str], findings: Findings) -> tuple[Example, ...]:
        """Returns one example for each query, in the order of first appearance, named by its first row."""
        rows = super().examples(table, columns, findings)
        grouped: dict[str, list[Example]] = {}
        for row in rows:
            grouped.setdefault(row.texts[0], []).append(row)
        found = []
        for query, group in grouped.items():
            relevant = tuple(i for i, row in enumerate(group) if row.label)
            is_labelled = all(row.label is not None for row in group)
            if len(group) == 1:
                findings.add("queries with a single candidate (left out of training and score)", group[0].key)
            elif is_labelled and not relevant:
                findings.add("queries without a relevant candidate (left out of training and score)", group[0].key)
            found.append(
                Example(group[0].key, (query, *(row.texts[1] for row in group)), relevant if is_labelled else None)
            )
        return tuple(found)

    def joins(self, record: Mapping[str, Any], before: Mapping[str, Any], columns: Mapping[str, str]) -> bool:
        return record.get(columns["query"]) == before.get(columns["query"])

    def is_usable(self, example: Example) -> bool:
        return super().is_usable(example) and bool(example.label) and len(example.texts) > 2

    def settled(self, examples: Sequence[Example]) -> Ranking:
        if not any(self.is_usable(e) and len(e.label) < len(e.texts) - 1 for e in examples):
            raise UserError(
                f"of {len(examples):,} queries none has both a relevant candidate and another; name the label that "
                "means relevant with `relevant`, and check the query column"
            )
        return self

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns a random order, the same in every run."""
        orders = (sorted(range(len(example.texts) - 1), key=partial(_chance, example)) for example in examples)
        return Baseline("an order by chance", tuple(map(tuple, orders)))

    def target_text(self, label: Any) -> str:
        return " ".join(str(number + 1) for number in label)

    def read_answer(self, written: str) -> Any:
        return tuple(read_place(word) for word in written.split()) or (-1,)

    def is_answer(self, prediction: Any) -> bool:
        return min(prediction) >= 0

    def source_text(self, example: Example, prefix: str) -> str:
        candidates = " ".join(f"candidate{i}: {text}" for i, text in enumerate(example.texts[1:], 1))
        return f"{prefix} query: {example.texts[0]} {candidates}".strip()

    def _is_relevant(self, label: str) -> bool:
        if self.relevant is not None:
            return label == self.relevant
        return float(label) > 0 if is_number(label) else label.lower() in _RELEVANT


def _chance(example: Example, candidate: int) -> int:
    """A number that hangs on the texts alone, not on the candidate's place."""
    return xxhash.xxh3_64_intdigest(f"{example.texts[0]}\n{example.texts[1 + candidate]}".encode())
