"""Whether two pieces stand in the same segment, added to their score: `(q + b) s`, with one s for same and
one for different.

Source: XLNet (1906.08237), Section 2.5 (relative segment encodings). It works for any number of segments and
says nothing of which is which.
"""

import torch
from torch import Tensor, nn

from afterbert.nn.sizes import Sizes


class RelativeSegments(nn.Module):
    def __init__(self, sizes: Sizes, head_size: int, scale: float):
        super().__init__()
        self.shape, self.scale = (sizes.num_attention_heads, head_size), scale
        self.table = nn.Embedding(2, sizes.num_attention_heads * head_size)
        self.bias = nn.Parameter(torch.zeros(self.shape))

    def forward(self, query: Tensor, differs: Tensor) -> Tensor:
        """[B, H, U, T] to be added to the scores, from scaled queries [B, H, U, K] and whether segments
        differ, bool [B, U, T]."""
        same, different = self.table.weight.view(2, *self.shape, 1)
        query = query + self.bias[:, None] * self.scale
        return torch.where(differs[:, None], query @ different, query @ same)
