"""Architectures: frozen configs that assemble the bricks of `nn`. One file each."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.nn.heads import LMHeadModule
from afterbert.nn.initializations import Initialization


class Architecture(ABC):
    """A backbone as a frozen config. Heads that only training needs belong to objectives; the language-model
    head that its family saves beside the backbone is described here and built on demand.

    A backbone holds no weight under two names, and its table of pieces is `backbone.embeddings.token`.
    """

    vocab_size: int | None  # None until a tokenizer fixes it
    hidden_size: int
    num_hidden_layers: int
    max_position_embeddings: int
    initialization: Initialization

    @abstractmethod
    def build(self, vocabulary: Vocabulary) -> nn.Module:
        """The backbone with fresh weights, drawn from torch's generator. Raises UserError when vocabulary and
        config disagree."""

    @abstractmethod
    def build_lm_head(self, backbone: nn.Module) -> LMHeadModule:
        """A fresh head from hidden [N, D] to logits [N, V], tied to the table of `backbone` without owning
        it."""

    @abstractmethod
    def num_parameters(self, vocab_size: int) -> int:
        """Predicted parameters of `build`; a test compares it with the real number."""

    @abstractmethod
    def num_lm_head_parameters(self, vocab_size: int) -> int:
        """Predicted parameters that `build_lm_head` adds."""

    @abstractmethod
    def flops_per_token(self, vocab_size: int, length: int) -> float:
        """Multiply-adds times two of one forward pass of the backbone, per token, at this row length (Kaplan
        et al. 2020, Section 2.1, plus both products of the attention term)."""

    @abstractmethod
    def lm_head_flops(self, vocab_size: int) -> float:
        """The same for the language-model head, per piece that it is asked about."""

    def table_size(self, vocabulary: Vocabulary) -> int:
        """Rows of the table of pieces: `vocab_size` where it is set, else the vocabulary's. Raises UserError
        when the vocabulary does not fit in."""
        if self.vocab_size is None:
            return vocabulary.size
        if self.vocab_size < vocabulary.size:
            raise UserError(
                f"vocab_size is {self.vocab_size}, but the tokenizer has {vocabulary.size} pieces; leave vocab_size "
                f"out, or set at least {vocabulary.size}"
            )
        return self.vocab_size
