"""One learned vector for each position. Source: Gehring et al. (1705.03122), Section 3.1; BERT, GPT-2, BART."""

from dataclasses import dataclass

from torch import nn

from afterbert.nn.position_embeddings import PositionEmbedding


@dataclass(frozen=True)
class Learned(PositionEmbedding):
    """A learned vector for each position."""

    def build(self, max_position_embeddings: int, size: int) -> nn.Module:
        return nn.Embedding(max_position_embeddings, size)
