"""How attention knows where a piece stands (beside, or in place of, positions added to the embeddings)."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn


class Positions(ABC):
    """Positions inside attention, as a frozen config that builds two halves.

    The shared half stands once in a stack and is computed once a forward pass; the layer half stands in each
    attention. Either may have weights (T5's are in the shared half, Transformer-XL's in the layer half) or
    none.
    """

    @abstractmethod
    def build_shared(self, num_attention_heads: int, head_size: int) -> nn.Module:
        """A module called with (query positions [B or 1, T], key positions [B or 1, S]); what it returns goes
        to every layer half."""

    @abstractmethod
    def build_layer(self, num_attention_heads: int, head_size: int) -> nn.Module:
        """A module called with (query [B, H, T, K], key [B, H, S, K], what the shared half returned). It
        returns query, key and either None or what is added to the scores, broadcastable to [B, H, T, S].
        Queries come in already scaled."""

    def num_shared_parameters(self, num_attention_heads: int, head_size: int) -> int:
        """Parameters of the shared half."""
        return 0

    def num_layer_parameters(self, num_attention_heads: int, head_size: int) -> int:
        """Parameters of one layer half."""
        return 0
