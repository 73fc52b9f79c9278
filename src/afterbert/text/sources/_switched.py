"""Texts in which words of a dictionary stand in another language: anchors that two languages share.

Source: Conneau et al. 2020 (1911.01464), Section 3.2, "extra anchors": a word of the dictionary is replaced by a
translation in 30% of cases, and at most 15% of the words of a batch are. Deviation: at most 15% of a document's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from afterbert.text.files import streams
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.sources import Source, SourcePart
from afterbert.text.word_pairs import Dictionary


def switched_in(language: str) -> str:
    """The reason by which a tally counts what was changed."""
    return f"documents in {language} with words of a dictionary replaced"


@dataclass(frozen=True)
class Switched(Source):
    """Another source with some words replaced by translations."""

    inner: Source
    """The source of the texts."""
    language: str
    """The language of the documents that are changed."""
    words: str
    """A file of word pairs."""
    rate: float = 0.3
    """How many of the words that are in it are replaced."""
    most: float = 0.15
    """The largest share of all words that is replaced."""

    @cached_property
    def _dictionary(self) -> Dictionary:
        return Dictionary.read(self.words)

    def digest(self) -> dict[str, str]:
        own = f"{self.language} switched by {streams.digest_of(self.words)} {self.rate} {self.most}"
        return {name: f"{digest} {own}" for name, digest in self.inner.digest().items()}

    def parts(self, target_bytes: int) -> list[SourcePart]:
        return [replace(part, source=replace(self, inner=part.source)) for part in self.inner.parts(target_bytes)]

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        for document in self.inner.read(replace(part, source=self.inner), policy, tally):
            is_mine = document.language == self.language and document.piece_ids is None
            text = self.switched(document.text) if is_mine else document.text
            if text != document.text:
                tally.notice(switched_in(self.language), document.place)
            yield document._replace(text=text)

    def switched(self, text: str) -> str:
        """Returns the text with some of its words replaced; the same text always comes out the same."""
        return self._dictionary.switched(text, rate=self.rate, most=self.most)
