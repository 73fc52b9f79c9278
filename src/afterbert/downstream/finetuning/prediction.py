"""A fine-tuned model's answers to rows, with the chance of each class where there are classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from afterbert.base.errors import UserError
from afterbert.downstream.example import Example
from afterbert.downstream.finetuning.objective import outputs
from afterbert.downstream.finetuning.saving import Loaded
from afterbert.downstream.posing.formatting import Formatter

#: A row to be answered: a text, or several (a pair; a question and its context; the words of a sentence).
Row = str | Sequence[str]


@dataclass(frozen=True)
class Prediction:
    """One answer."""

    value: Any
    """A class or several, a number, a text, or a tag for each word: in the terms of the task."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Label -> its chance, for tasks that choose one or several labels for a row; empty for others."""

    @property
    def confidence(self) -> float | None:
        """The chance of the class that was chosen; None where there are no classes, or several may be chosen."""
        return self.probabilities.get(str(self.value))


def answers(
    loaded: Loaded, name: str, examples: Sequence[Example], *, device: torch.device
) -> list[Prediction]:
    """The answers of the head `name` to examples that have text, in their order."""
    task, head, vocabulary = loaded.tasks[name], loaded.heads[name], loaded.model.tokenizer.vocabulary
    prepared = head.prepare(
        task, examples, Formatter(loaded.model.tokenizer, min(loaded.length, loaded.model.longest))
    )
    found = outputs(
        loaded.module,
        head,
        prepared,
        name=name,
        pad=vocabulary.pad or 0,
        has_segments=loaded.model.architecture.has_segments,
        device=device,
    )
    values = head.predictions(task, examples, prepared, found)
    return [Prediction(value, head.chances(task, one)) for value, one in zip(values, found, strict=True)]


def answers_to_rows(
    loaded: Loaded, name: str, rows: Sequence[Row], *, device: torch.device
) -> list[Prediction]:
    """The answers of the head `name` to rows as Python has them. Raises UserError for a row without a text, or with
    another number of texts than the task reads."""
    task = loaded.tasks[name]
    wanted = 0 if "words" in task.text_names else len(task.text_names)
    examples = []
    for number, row in enumerate(rows, start=1):
        texts = (row,) if isinstance(row, str) else tuple(row)
        if not wanted:
            texts = tuple(row.split()) if isinstance(row, str) else texts
        elif len(texts) != wanted:
            named = ", ".join(task.text_names)
            raise UserError(f"row {number} has {len(texts)} texts; this task reads {wanted} ({named})")
        example = Example(f"row:{number}", texts)
        if not task.has_text(example):
            raise UserError(f"row {number} has no text; leave it out, or fill it in")
        examples.append(example)
    return answers(loaded, name, examples, device=device) if examples else []
