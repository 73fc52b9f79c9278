"""How attention knows where a piece stands (beside, or in place of, positions added to the embeddings)."""

from abc import ABC, abstractmethod

from torch import nn

from afterbert.nn.sizes import Sizes


class Positions(ABC):
    """Positions inside attention, as a frozen config that builds two halves.

    The shared half stands once in a stack and is computed once a forward pass; the layer half stands in each attention.
    Either may have weights (T5's are in the shared half, Transformer-XL's in the layer half) or none.
    """

    @abstractmethod
    def build_shared(self, sizes: Sizes, head_size: int, *, is_causal: bool) -> nn.Module:
        """Returns a module called with (query positions [B or 1, U], key positions [B or 1, T]); what it returns goes
        to every layer half. is_causal: no query ever looks ahead."""

    @abstractmethod
    def build_layer(self, sizes: Sizes, head_size: int, scale: float) -> nn.Module:
        """Returns a module called with (query [B, H, U, K], key [B, H, T, K], what the shared half returned). It
        returns query, key and either None or what is added to the scores, broadcastable to [B, H, U, T]. Queries come
        in already multiplied by `scale`."""

    def flops_per_token(self, sizes: Sizes, head_size: int, length: int) -> float:
        """Counts the cost of one layer half, beyond the two products of attention; what is computed once a batch
        is left out."""
        return 0.0
