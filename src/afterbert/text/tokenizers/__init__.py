"""How text is cut into pieces: one module for each way to get a tokenizer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from afterbert.text.pieces.tokenizer import Tokenizer


class TokenizerRecipe(ABC):
    """A way to get a tokenizer. Frozen dataclasses; the same recipe and sample give the same bytes on any run."""

    @abstractmethod
    def sample_bytes(self, corpus_bytes: int) -> int:
        """Returns how much text `make` wants to see of a corpus of about this size; 0 for none."""

    @abstractmethod
    def make(self, sample: Sequence[str], *, corpus_bytes: int) -> Tokenizer:
        """Returns the tokenizer. sample: texts of the corpus, in a fixed order. Raises UserError."""
