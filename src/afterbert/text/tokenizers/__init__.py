"""How text is cut into pieces: one module for each way to get a tokenizer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from afterbert.text.pieces.tokenizer import Tokenizer, vocabulary_of


class TokenizerRecipe(ABC):
    """A way to get a tokenizer. Frozen dataclasses; the same recipe and sample give the same bytes on any run."""

    @abstractmethod
    def sample_bytes(self, corpus_bytes: int) -> int:
        """How much text of a corpus of about this size `make` wants to see; 0 for none."""

    @abstractmethod
    def make(self, sample: Sequence[str], *, corpus_bytes: int) -> Tokenizer:
        """The tokenizer. sample: texts drawn from the corpus, in an order that is always the same. Raises UserError."""


__all__ = ["Tokenizer", "TokenizerRecipe", "vocabulary_of"]
