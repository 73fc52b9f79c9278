"""From piece ids to the first hidden states: token, position, segment and language vectors, added, normalised.

Sources: BERT (1810.04805), Figure 2; factorization: ALBERT (1909.11942), Section 3.1; languages: XLM (1901.07291),
Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.numbers import Count, CountFromZero
from afterbert.nn.dropout import dropout
from afterbert.nn.inputs import Inputs
from afterbert.nn.norms import Norm
from afterbert.nn.norms.identity import Identity
from afterbert.nn.position_embeddings import PositionEmbedding
from afterbert.nn.position_embeddings.learned import Learned
from afterbert.nn.sizes import Sizes


@dataclass(frozen=True)
class Embeddings:
    """The vectors of pieces, positions, segments and languages, added up."""

    positions: PositionEmbedding = Learned()
    type_vocab_size: CountFromZero = 2
    """How many kinds of segments have a vector; 0 for none."""
    languages: tuple[str, ...] = ()
    """The languages that have a vector, in the order of the rows."""
    has_norm: bool = True
    embedding_size: Count | None = None
    """The width of the tables, if it is not hidden_size. A linear layer then widens the sum; it has a bias only after a
    norm, so that without norm the product of both is one table, which heads tie to."""
    is_scaled: bool = False
    """Whether token vectors are multiplied by the root of their width (Transformer, an option of BART)."""

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.languages if self.languages.count(name) > 1})
        if twice:
            raise UserError(f"embeddings.languages names {', '.join(twice)} twice; name each language once")

    def build(self, vocab_size: int, sizes: Sizes, norm: Norm) -> EmbeddingsModule:
        token = nn.Embedding(vocab_size, self.width(sizes))
        return EmbeddingsModule(self, token, sizes, norm if self.has_norm else Identity(), owns_token=True)

    def build_over(
        self, token: nn.Embedding, sizes: Sizes, norm: Norm, *, widen: nn.Module | None = None
    ) -> EmbeddingsModule:
        """Embeddings with a table of pieces, and perhaps a widening, that another owns: those of a decoder
        beside its encoder."""
        at_norm = norm if self.has_norm else Identity()
        return EmbeddingsModule(self, token, sizes, at_norm, owns_token=False, widen=widen)

    def width(self, sizes: Sizes) -> int:
        return self.embedding_size or sizes.hidden_size

    def flops_per_token(self, sizes: Sizes) -> float:
        """Counts the multiply-adds of widening, times two; looking up is free."""
        return 2.0 * self.width(sizes) * sizes.hidden_size if self.embedding_size else 0.0


class EmbeddingsModule(nn.Module):
    """`token` is the table of pieces [V, E], which heads tie to; None where another owns it."""

    def __init__(
        self,
        config: Embeddings,
        token: nn.Embedding,
        sizes: Sizes,
        norm: Norm,
        *,
        owns_token: bool,
        widen: nn.Module | None = None,
    ):
        super().__init__()
        width = config.width(sizes)
        self.token = token if owns_token else None
        # in a tuple, so that a borrowed table keeps one owner and one name
        self._table = (token,)
        self.position = config.positions.build(sizes.max_position_embeddings, width)
        self.segment = nn.Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        self.language = nn.Embedding(len(config.languages), width) if config.languages else None
        self.norm = norm.build(width)
        self.dropout = dropout(sizes.hidden_dropout_prob)
        self._borrowed_widen = (widen,)
        is_narrow = config.embedding_size is not None and widen is None
        self.widen = nn.Linear(width, sizes.hidden_size, bias=config.has_norm) if is_narrow else nn.Identity()
        self.scale = width**0.5 if config.is_scaled else 1.0
        #: Rows of the table that each language has for itself; None where all share them.
        self.rows_each: int | None = None
        self.max_length = sizes.max_position_embeddings

    def forward(
        self,
        input_ids: Tensor,
        *,
        position_ids: Tensor,
        token_type_ids: Tensor | None = None,
        language_ids: Tensor | None = None,
    ) -> Tensor:
        """Returns vectors [B, T, D] of ids [B, T] and positions [B or 1, T]. Segments are 0 if not given; without
        languages no language is added, as in transformers' XLM. Raises UserError if the rows are longer than the
        position table."""
        if isinstance(self.position, nn.Embedding) and input_ids.shape[1] > self.max_length:
            raise UserError(
                f"a row of {input_ids.shape[1]} pieces exceeds max_position_embeddings {self.max_length}; "
                "cut the rows shorter"
            )
        if self.rows_each is not None and language_ids is not None:
            input_ids = input_ids + self.rows_each * language_ids
        vectors = self._table[0](input_ids)
        if self.scale != 1.0:
            vectors = vectors * self.scale
        if self.segment is not None:
            segments = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
            vectors = vectors + self.segment(segments)
        if self.language is not None and language_ids is not None:
            vectors = vectors + self.language(language_ids)
        places = self.position(position_ids)
        if places is not None:
            vectors = vectors + places
        vectors = self.dropout(self.norm(vectors))
        return self.widen(vectors) if self._borrowed_widen[0] is None else self._borrowed_widen[0](vectors)

    @property
    def table(self) -> nn.Embedding:
        """The table of pieces [V, E], whoever owns it."""
        return self._table[0]

    def own(self, table: nn.Module) -> None:
        """Takes another table of pieces in place of the one that it owns: from ids [B, T] to [B, T, E], with a `weight`
        [V, E]."""
        self.token = cast(nn.Embedding, table)
        self._table = (self.token,)

    def of(self, inputs: Inputs) -> Tensor:
        """Embeds from the bundle that a backbone reads."""
        return self(
            inputs.input_ids,
            position_ids=inputs.places,
            token_type_ids=inputs.token_type_ids,
            language_ids=inputs.language_ids,
        )


def table_of(backbone: nn.Module) -> nn.Embedding:
    """Returns the table of pieces that a backbone owns."""
    token = cast(EmbeddingsModule, backbone.embeddings).token
    assert token is not None
    return token
