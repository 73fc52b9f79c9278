"""What every task reads its files into, and the tally of what was odd about them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """One thing to predict. key: a stable name (the data's own id, or `file:line`). texts: what is read, one to many; a
    tagging task's texts are the words. label: the truth in the task's own terms (each task says which), None if there
    is none. group: what scores are broken down by, if anything.
    """

    key: str
    texts: tuple[str, ...]
    label: Any = None
    group: str = ""

    @property
    def labels(self) -> tuple[Any, ...]:
        """The label, or each of several; empty if there is none."""
        return self.label if isinstance(self.label, tuple) else () if self.label is None else (self.label,)


@dataclass(frozen=True)
class AnswerSpan:
    """A stretch of a context: its text, and the character it begins at (None if the text does not stand in the
    context)."""

    text: str
    start: int | None


@dataclass(frozen=True)
class Baseline:
    """A guess that needs no model, to be scored beside one: how it guesses, in words, and its predictions."""

    name: str
    predictions: tuple[Any, ...]


class Findings:
    """Oddities of real data, counted by kind with the first place of each. Never an error.

    >>> findings = Findings()
    >>> findings.add("empty texts", "dev.tsv:3")
    >>> findings.add("empty texts", "dev.tsv:9")
    >>> findings.lines()
    ['2 empty texts (first: dev.tsv:3)']
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, what: str, where: str, count: int = 1) -> None:
        """Counts `count` oddities of the kind `what`, the first of them at `where`."""
        if count:
            self._counts[what] = self._counts.get(what, 0) + count
            self._first.setdefault(what, where)

    def __getitem__(self, what: str) -> int:
        return self._counts.get(what, 0)

    def lines(self) -> list[str]:
        """Returns one line for each kind, in the order they were met."""
        return [f"{count:,} {what} (first: {self._first[what]})" for what, count in self._counts.items()]
