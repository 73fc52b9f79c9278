"""Which of two almost equal sentences is grammatical, by likelihood, without training (BLiMP: Warstadt et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import xxhash

from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.reading.columns import Held
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks._classes import read_place


@dataclass(frozen=True)
class MinimalPairs(Task):
    """texts: the good sentence and the bad one. label: always 0, the number of the good one. prediction: 0 or
    1. group: the phenomenon."""

    parts: ClassVar[tuple[str, ...]] = ("good", "bad")
    optional_parts: ClassVar[tuple[str, ...]] = ("group",)
    label_part: ClassVar[str | None] = None
    answer: ClassVar[str] = "likelihood"
    usual_head: ClassVar[str | None] = None
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "good": ("sentence_good",),
        "bad": ("sentence_bad",),
        "group": ("uid", "phenomenon", "group"),
    }
    precedence: ClassVar[int] = 7
    text_names: ClassVar[tuple[str, ...]] = ("sentence1", "sentence2")

    metrics: tuple[Metric, ...] = (Accuracy(),)

    def offer(self, held: Held) -> dict[str, str]:
        return dict(zip(self.parts, held.texts[:2]))

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        texts = tuple(str(record.get(columns[part]) or "") for part in ("good", "bad"))
        if texts[0] == texts[1]:
            findings.add("pairs of equal sentences", key)
        group = str(record.get(columns["group"]) or "") if "group" in columns else ""
        return Example(key, texts, 0, group)

    def settled(self, examples: Sequence[Example]) -> MinimalPairs:
        return self

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns the shorter sentence; of equally long ones either, at random but the same in every run."""
        return Baseline("the shorter sentence", tuple(_shorter(*example.texts[:2]) for example in examples))

    def target_text(self, label: Any) -> str:
        return str(label + 1)

    def read_answer(self, written: str) -> Any:
        return read_place(written)


def some_of_each(examples: Sequence[Example], most: int | None) -> list[Example]:
    """Returns at most `most` pairs (None: all) in file order, equally many of each group as far as it has them."""
    rank: dict[str, int] = {}
    turn = []
    for number, example in enumerate(examples):
        rank[example.group] = rank.get(example.group, -1) + 1
        turn.append((rank[example.group], number))
    return [examples[number] for number in sorted(number for _, number in sorted(turn)[:most])]


def _shorter(good: str, bad: str) -> int:
    if len(good) != len(bad):
        return int(len(bad) < len(good))
    # Neither the order of the two nor their place in the file may decide.
    return int(xxhash.xxh3_64_intdigest(good.encode()) > xxhash.xxh3_64_intdigest(bad.encode()))
