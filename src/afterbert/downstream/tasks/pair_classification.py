"""Two texts, one of several classes: entailment, paraphrase, whether a sentence answers a question (SNLI,
MRPC, QNLI)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.reading.columns import PAIRS, Held, pair_named
from afterbert.downstream.tasks._classes import LABEL_NAMES, Classification


@dataclass(frozen=True)
class PairClassification(Classification):
    """texts: first and second."""

    parts: ClassVar[tuple[str, ...]] = ("first", "second", "label")
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "first": tuple(first for first, _ in PAIRS),
        "second": tuple(second for _, second in PAIRS),
        "label": LABEL_NAMES,
    }
    precedence: ClassVar[int] = 3
    text_names: ClassVar[tuple[str, ...]] = ("sentence1", "sentence2")

    def find(self, part: str, columns: Sequence[str]) -> str | None:
        if part == "label":
            return super().find(part, columns)
        pair = pair_named(columns)
        return pair and pair[part == "second"]

    def offer(self, held: Held) -> dict[str, str]:
        """Returns two texts and the classes; none is chosen when there are more than two texts."""
        return dict(zip(self.parts, [*held.texts, *held.label])) if len(held.texts) == 2 else {}
