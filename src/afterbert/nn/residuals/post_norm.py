"""Normalise after adding: `norm(x + part(x))`. Source: Vaswani et al. (1706.03762), Section 3.1; BERT,
RoBERTa, BART."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from afterbert.nn.dropout import dropout
from afterbert.nn.places import at_places
from afterbert.nn.residuals import Residual


@dataclass(frozen=True)
class PostNorm(Residual):
    """The norm after adding, as in BERT."""

    def build(self, inner: nn.Module, norm: nn.Module, dropout_rate: float) -> nn.Module:
        return _PostNorm(inner, norm, dropout_rate)


class _PostNorm(nn.Module):
    def __init__(self, inner: nn.Module, norm: nn.Module, dropout_rate: float):
        super().__init__()
        self.inner, self.norm, self.dropout = inner, norm, dropout(dropout_rate)

    def forward(self, hidden: Tensor, *context: Any, wanted: Tensor | None = None) -> Tensor:
        kept = at_places(hidden, wanted)
        return self.norm(kept + self.dropout(self.inner(hidden, *context)))
