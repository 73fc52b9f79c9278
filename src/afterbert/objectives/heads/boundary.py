"""The span boundary objective: each piece of a masked span from the two pieces around the span and its place in it.

Source: SpanBERT (1907.10529), Section 3.2 and equation 2; spans that touch or overlap are merged first, and at most
`max_targets` pieces of a span are asked, as in the release. The logits use the tied table with a bias of their own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.numbers import Count, NotNegative
from afterbert.base.rows import Rows
from afterbert.nn.activations import ACTIVATIONS
from afterbert.nn.cross_entropy import linear_cross_entropy


@dataclass(frozen=True)
class Boundary:
    """position_size: width of the vectors for places in the span; max_targets: pieces of a span that are
    asked about."""

    position_size: Count = 200
    max_targets: Count = 15
    loss_weight: NotNegative = 1.0

    def arrays(self, rows: Rows, positions: np.ndarray, *, width: int) -> dict[str, np.ndarray]:
        """For chosen flat positions [N]: which of them are asked (index [M]), the flat padded places of both
        neighbours of their span [M], and their place in it from 0 [M]. A span at either end of its row has
        no neighbour and asks nothing.

        >>> rows = Rows.of("[CLS] a b c d [SEP]")
        >>> {k: v.tolist() for k, v in Boundary().arrays(rows, np.array([2, 3]), width=8).items()}
        {'boundary_asked': [0, 1], 'boundary_left': [1, 1], 'boundary_right': [4, 4], 'boundary_place': [0, 1]}
        """
        row = rows.row_of[positions]
        begins = np.ones(len(positions), dtype=bool)
        begins[1:] = (np.diff(positions) != 1) | (np.diff(row) != 0)
        first = np.flatnonzero(begins)
        lengths = np.diff(first, append=len(positions))
        left = np.repeat(positions[first] - 1, lengths)
        right = np.repeat(positions[first] + lengths, lengths)
        place = positions - left - 1
        inside = (left >= rows.row_starts[row]) & (right < rows.row_starts[row + 1])
        asked = np.flatnonzero(inside & (place < self.max_targets))
        return {
            "boundary_asked": asked,
            "boundary_left": rows.flat_to_padded(left[asked], length=width),
            "boundary_right": rows.flat_to_padded(right[asked], length=width),
            "boundary_place": place[asked],
        }


class BoundaryHead(nn.Module):
    """From hidden states around the spans to logits [M, V]."""

    def __init__(self, config: Boundary, hidden_size: int, token: nn.Embedding):
        super().__init__()
        vocab_size, table_width = token.weight.shape
        self.place = nn.Embedding(config.max_targets, config.position_size)
        nn.init.normal_(self.place.weight, std=0.02)
        self.first = nn.Linear(2 * hidden_size + config.position_size, hidden_size)
        self.first_norm = nn.LayerNorm(hidden_size)
        self.second = nn.Linear(hidden_size, table_width)
        self.second_norm = nn.LayerNorm(table_width)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.activate = ACTIVATIONS["gelu"]
        self._tied = (token,)

    def forward(self, left: Tensor, right: Tensor, place: Tensor) -> Tensor:
        """left, right: [M, D], states of both neighbours; place: [M]."""
        return nn.functional.linear(self._before_table(left, right, place), self._tied[0].weight, self.bias)

    def score(self, left: Tensor, right: Tensor, place: Tensor, targets: Tensor) -> Tensor:
        """The summed cross-entropy at targets [M], without holding all logits."""
        inner = self._before_table(left, right, place)
        return linear_cross_entropy(inner, self._tied[0].weight, self.bias, targets)

    def _before_table(self, left: Tensor, right: Tensor, place: Tensor) -> Tensor:
        around = torch.cat((left, right, self.place(place)), dim=-1)
        inner = self.first_norm(self.activate(self.first(around)))
        return self.second_norm(self.activate(self.second(inner)))
