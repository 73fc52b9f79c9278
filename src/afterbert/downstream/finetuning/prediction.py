"""A fine-tuned model's answers to rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from afterbert.base.errors import UserError
from afterbert.downstream.example import Example
from afterbert.downstream.finetuning.objective import outputs, told_language
from afterbert.downstream.finetuning.saving import Loaded
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.prediction import FoundSpan, Prediction
from afterbert.downstream.reading.words import FoundWords
from afterbert.downstream.tasks import Task

#: A row to be answered: a text, or several (a pair; a question and its context; the words of a sentence).
Row = str | Sequence[str]


@dataclass(frozen=True)
class Answerer:
    """Answers examples with one head of a fine-tuned model, as many calls as one likes."""

    loaded: Loaded
    name: str
    """The task whose head answers."""
    language: str | None = None
    """The language of the rows, for a model with parts for each language."""

    @property
    def task(self) -> Task:
        return self.loaded.tasks[self.name]

    @cached_property
    def _formatter(self) -> Formatter:
        return Formatter(self.loaded.model.tokenizer, min(self.loaded.length, self.loaded.model.longest))

    def __call__(self, examples: Sequence[Example]) -> list[Prediction]:
        """The answers to examples that have text, in their order."""
        if not examples:
            return []
        head = self.loaded.heads[self.name]
        prepared = head.prepare(self.task, examples, self._formatter)
        prepared = told_language(prepared, self.loaded.model, self.language)
        found = outputs(self.loaded.module, self.loaded.model, head, prepared, name=self.name)
        return head.answered(prepared, found)

    def placed(self, examples: Sequence[Example], words: Sequence[FoundWords | None]) -> list[Prediction]:
        """Answers examples whose words were found in running texts: entities are where they stand in these."""
        found = self(examples)
        return [one if known is None else _placed(one, known) for one, known in zip(found, words, strict=True)]

    def rows(self, rows: Sequence[Row]) -> list[Prediction]:
        """Returns the answers to rows of Python values. Raises UserError for a row without a text, or with another
        number of texts than the task reads."""
        words = [self.task.words_of(row) if self.reads_words and isinstance(row, str) else None for row in rows]
        examples = []
        for number, (row, found) in enumerate(zip(rows, words), start=1):
            texts = found.words if found is not None else (row,) if isinstance(row, str) else tuple(row)
            if not self.reads_words:
                self._check_number(len(texts), number)
            examples.append(Example(f"row:{number}", texts))
            if not self.task.has_text(examples[-1]):
                raise UserError(f"row {number} has no text; leave it out, or fill it in")
        return self.placed(examples, words)

    @property
    def reads_words(self) -> bool:
        """Whether a row is a sentence cut into words."""
        return "words" in self.task.text_names

    def _check_number(self, found: int, number: int) -> None:
        names = self.task.text_names
        if self.task.answer in ("choice", "order"):
            wanted, fits = f"{names[0]} and two candidates or more", found > 2
        else:
            known = self.loaded.columns.get(self.name, {})
            read = [part for part in known if part != self.task.label_part] or names
            # A grade is for one text or for two; a model of an earlier version does not say.
            fits = found == len(read) or (self.task.answer == "number" and not known and found in (1, 2))
            wanted = f"{len(read)} ({', '.join(names[: len(read)])})"
        if not fits:
            raise UserError(f"row {number} has {found} texts; this task reads {wanted}")


def _placed(found: Prediction, words: FoundWords) -> Prediction:
    """With entities at their places in the text that the words were found in."""
    entities = found.entities
    if entities is not None:
        begins = {begin: number for number, begin in enumerate(words.joined_begins)}
        ends = {begin + len(words.words[number]): number for begin, number in begins.items()}
        placed = []
        for one in entities:
            start, last = words.begins[begins[one.start]], ends[one.end]
            end = words.begins[last] + len(words.words[last])
            placed.append(FoundSpan(words.text[start:end], start, end, one.label, one.confidence))
        entities = tuple(placed)
    return replace(found, entities=entities, words=words.words)
