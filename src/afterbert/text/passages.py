"""Documents cut into passages: stretches long enough to say something and short enough to be read at once."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import Field

from afterbert.text.files.documents import Document

_SENTENCE_END = re.compile(r"(?<=[.!?][\s\u00a0])|(?<=[。！？।॥؟۔])\s*")
_SPACE = re.compile(r"\s+")


class Passage(NamedTuple):
    """A stretch of a document. id: the document's id, and behind a `:` the number of the passage in it, from 1."""

    id: str
    text: str


@dataclass(frozen=True)
class Passages:
    """Paragraphs, of which short neighbours are joined and long ones are cut, at ends of sentences where they have
    such ends within reach.

    >>> cut = Passages(least=12, most=24)
    >>> [p.text for p in cut([Document("a", "A title\\nOne short line.\\nThe first. The second one. The third.")])]
    ['A title\\nOne short line.', 'The first.', 'The second one.', 'The third.']
    """

    least: Annotated[int, Field(ge=1)] = 300
    """Characters; a shorter passage takes the next paragraph in, unless it is the last of its document."""
    most: Annotated[int, Field(ge=2)] = 1200
    """Characters; a longer paragraph is cut."""

    def __call__(self, documents: Iterable[Document]) -> Iterator[Passage]:
        """Cuts all documents, in order."""
        for document in documents:
            for number, text in enumerate(self._of(document.text), start=1):
                yield Passage(f"{document.id}:{number}", text)

    def _of(self, text: str) -> Iterator[str]:
        waiting = ""
        for paragraph in filter(None, (line.strip() for line in text.split("\n"))):
            joined = f"{waiting}\n{paragraph}" if waiting else paragraph
            if len(joined) <= self.most:
                waiting = joined
            else:
                yield from [waiting] if waiting else []
                *whole, waiting = self._cut(paragraph)
                yield from filter(None, whole)
            if len(waiting) >= self.least:
                yield waiting
                waiting = ""
        if waiting:
            yield waiting

    def _cut(self, paragraph: str) -> Iterator[str]:
        begin = 0
        while len(paragraph) - begin > self.most:
            stretch = paragraph[begin : begin + self.most]
            ends = [found.end() for found in _SENTENCE_END.finditer(stretch) if found.end() >= self.least // 2]
            ends = ends or [found.end() for found in _SPACE.finditer(stretch)] or [len(stretch)]
            yield stretch[: ends[-1]].strip()
            begin += ends[-1]
        yield paragraph[begin:].strip()
