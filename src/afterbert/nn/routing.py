"""A part of a layer that each language has for itself."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Routed(nn.Module):
    """Parts of one kind, one for each language: every piece gets what the part of its own language says. All parts read
    all pieces, so rows of two languages are well defined and every weight takes part in every step."""

    def __init__(self, parts: Sequence[nn.Module]):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, hidden: Tensor, *rest: Any, languages: Tensor | None = None, **named: Any) -> Tensor:
        """Returns [B, T, D] from hidden [B, T, D]. languages: int64 [B, T]; None takes the first language for all."""
        if languages is None:
            first: Tensor = self.parts[0](hidden, *rest, **named)
            return first
        every = torch.stack([part(hidden, *rest, **named) for part in self.parts])
        return every.gather(0, languages[None, :, :, None].expand_as(every[:1]))[0]


def own_to_languages(backbone: nn.Module) -> Iterator[nn.Parameter]:
    """Yields the weights that only one language uses: they do not learn from labelled rows of another."""
    for part in backbone.modules():
        if isinstance(part, Routed):
            yield from part.parameters()
        elif getattr(part, "rows_each", None) is not None:
            table: Any = part.token
            yield from table.parameters()
