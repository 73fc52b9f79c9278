"""Architectures: frozen configs that assemble the bricks of `nn`. One file each."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from afterbert.base.vocabulary import Vocabulary


class Architecture(ABC):
    """A backbone as a frozen config. Heads that only training needs belong to objectives."""

    vocab_size: int | None  # None until a tokenizer fixes it
    hidden_size: int

    @abstractmethod
    def build(self, vocabulary: Vocabulary) -> nn.Module:
        """The backbone with fresh weights, drawn from torch's generator. Raises UserError when vocabulary and config disagree."""

    @abstractmethod
    def num_parameters(self, vocab_size: int) -> int:
        """Predicted parameters of `build`; a test compares it with the real number."""

    @abstractmethod
    def flops_per_token(self, vocab_size: int, length: int) -> float:
        """Multiply-adds times two of one forward pass of the backbone, per token, at this row length (Kaplan et al. 2020, Section 2.1, plus the attention term)."""
