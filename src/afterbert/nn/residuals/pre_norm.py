"""Normalise what the part reads: `x + part(norm(x))`, and once more after the stack.

Source: Xiong et al. (2002.04745); GPT-2, T5, ModernBERT.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from afterbert.nn.dropout import dropout
from afterbert.nn.norms import Norm
from afterbert.nn.norms.identity import Identity
from afterbert.nn.places import at_places
from afterbert.nn.residuals import Residual


@dataclass(frozen=True)
class PreNorm(Residual):
    """The norm before each part."""

    has_first_norm: bool = True
    """False if the embeddings are already normalised (ModernBERT, Section 2.1.1)."""

    def build(self, inner: nn.Module, norm: nn.Module, dropout_rate: float) -> nn.Module:
        return _PreNorm(inner, norm, dropout_rate)

    def first_norm(self, norm: Norm) -> Norm:
        return norm if self.has_first_norm else Identity()

    def final_norm(self, norm: Norm) -> Norm:
        return norm


class _PreNorm(nn.Module):
    def __init__(self, inner: nn.Module, norm: nn.Module, dropout_rate: float):
        super().__init__()
        self.inner, self.norm, self.dropout = inner, norm, dropout(dropout_rate)

    def forward(self, hidden: Tensor, *context: Any, wanted: Tensor | None = None) -> Tensor:
        kept = at_places(hidden, wanted)
        return kept + self.dropout(self.inner(self.norm(hidden), *context))
