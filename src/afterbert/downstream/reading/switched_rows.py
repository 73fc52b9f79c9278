"""Training rows that stand there again with words in other languages, so that a task goes to languages without labelled
rows.

Source: Qin et al. 2020, "CoSDA-ML" (2006.06402): words of dictionaries replace those of the rows, which keep their
labels. Deviations: a row stands there once as it is, and once for each dictionary, with words of one language alone;
and the copies are the same in every epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from afterbert.base.errors import UserError
from afterbert.downstream.example import Example
from afterbert.downstream.tasks import Task
from afterbert.text.pieces.characters import words
from afterbert.text.word_pairs import Dictionary

_KEPT = ("class", "labels", "number", "tags", "choice", "order")


@dataclass(frozen=True)
class SwitchedRows:
    """dictionaries: name -> words with their translations. rate: the share of the words in it that are replaced."""

    dictionaries: dict[str, Dictionary]
    rate: float = 0.9

    def check(self, name: str, task: Task) -> None:
        """Raises UserError for a task whose answer is a stretch of the text, which would change with it."""
        if task.answer not in _KEPT:
            raise UserError(f"{name}: its answers are texts, which other words would change; leave --switch out")

    def num_known(self, name: str, rows: Sequence[Example], task: Task) -> int:
        """Returns how many rows hold a word of one of the dictionaries."""
        known = self.dictionaries[name].translations
        by_row = (row.texts if task.answer == "tags" else words().findall(" ".join(row.texts)) for row in rows)
        return sum(any(word.lower() in known for word in some) for some in by_row)

    def of(self, rows: Sequence[Example], task: Task) -> tuple[Example, ...]:
        """Returns the copies of all rows that have a word to replace, dictionary by dictionary."""
        made = []
        for name, dictionary in self.dictionaries.items():
            for row in rows:
                key = "\x1f".join((name, *row.texts))
                if task.answer == "tags":
                    drawn = dictionary.replaced(row.texts, key=key, rate=self.rate)
                    texts = tuple(drawn.get(place, word) for place, word in enumerate(row.texts))
                else:
                    texts = tuple(dictionary.switched(text, key=key, rate=self.rate) for text in row.texts)
                if texts != row.texts:
                    made.append(replace(row, key=f"{row.key} {name}", texts=texts))
        return tuple(made)
