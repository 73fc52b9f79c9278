"""Heads that a saved model may hold beside its backbone: the way back to the vocabulary, the pooled first piece,
ELECTRA's detection."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.nn.activations import ACTIVATIONS, Activation
from afterbert.nn.cross_entropy import linear_cross_entropy
from afterbert.nn.norms import Norm
from afterbert.nn.sampled_softmax import SampledPieces


@dataclass(frozen=True)
class LMHead:
    """From hidden states to logits over the vocabulary, through the transposed token table."""

    has_transform: bool = True
    """Whether a dense layer, activation and norm come first (BERT's masked-LM head; not in GPT-2, BART and T5)."""
    activation: Activation = "gelu"
    bias: bool = True
    """Whether the dense layer has a bias."""
    decoder_bias: bool = True
    """Whether the logits have a bias."""
    is_scaled: bool = False
    """Whether hidden states are multiplied by hidden_size**-0.5 first (T5)."""
    is_tied: bool = True
    """False gives the decoder a table of its own (T5 1.1). Without transform, narrow tables are reached through the
    transposed widening of the embeddings."""

    def build(
        self, hidden_size: int, token: nn.Embedding, norm: Norm, *, widen: nn.Module | None = None, tables: int = 1
    ) -> LMHeadModule:
        """Returns the head's module. widen: the embeddings' layer from narrow tables to hidden_size, where there is
        one; tables: how many tables of pieces, one for each language, `token` holds."""
        return LMHeadModule(self, hidden_size, token, norm, widen, tables)

    def flops_per_piece(self, vocab_size: int, hidden_size: int, embedding_size: int) -> float:
        """Returns the floating-point operations of a forward pass for one chosen piece."""
        narrows = self.has_transform or (self.is_tied and embedding_size != hidden_size)
        table_width = embedding_size if self.has_transform or self.is_tied else hidden_size
        return 2.0 * (narrows * embedding_size * hidden_size + table_width * vocab_size)


class LMHeadModule(nn.Module):
    """From hidden [N, D] to logits [N, V]; of several tables that of each row's language [N], the first where none is
    told."""

    def __init__(
        self, config: LMHead, hidden_size: int, token: nn.Embedding, norm: Norm, widen: nn.Module | None, tables: int
    ):
        super().__init__()
        vocab_size, width = token.weight.shape
        self.num_tables, self.num_pieces = tables, vocab_size // tables
        narrows = config.is_tied and not config.has_transform and width != hidden_size
        if narrows and not isinstance(widen, nn.Linear):
            raise UserError(
                f"a head without transform cannot reach a table of width {width} from states of width {hidden_size}; "
                "set lm_head.has_transform"
            )
        self.transform = _Transform(config, hidden_size, width, norm) if config.has_transform else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(vocab_size)) if config.decoder_bias else None
        own_width = width if config.has_transform else hidden_size
        self.decoder = None if config.is_tied else nn.Linear(own_width, vocab_size, bias=False)
        self.scale = hidden_size**-0.5 if config.is_scaled else 1.0
        # in tuples, so that each weight keeps one owner and one name: the backbone's
        self._tied = (token,)
        self._widen = (widen if narrows and isinstance(widen, nn.Linear) else None,)

    def forward(self, hidden: Tensor, languages: Tensor | None = None) -> Tensor:
        ready, tables = self._before_table(hidden), self._tables()
        if self.num_tables == 1 or languages is None:
            return F.linear(ready, *tables[0])
        every = torch.stack([F.linear(ready, *table) for table in tables])
        return every.gather(0, languages[None, :, None].expand_as(every[:1]))[0]

    def score(
        self, hidden: Tensor, targets: Tensor, languages: Tensor | None = None, *, sample: SampledPieces | None = None
    ) -> Tensor:
        """Returns the summed cross-entropy of the logits at targets [N], a float32 scalar, without holding all
        logits. sample: estimates it from some of the pieces, the same ones of every table."""
        ready, tables = self._before_table(hidden), self._tables()
        score = linear_cross_entropy if sample is None else sample.score
        if self.num_tables == 1 or languages is None:
            return score(ready, *tables[0], targets)
        own = [languages == number for number in range(self.num_tables)]
        parts = [score(ready[at], *table, targets[at]) for at, table in zip(own, tables)]
        return torch.stack(parts).sum()

    def _tables(self) -> list[tuple[Tensor, Tensor | None]]:
        """Each table [V, D] with its bias [V]."""
        if self.num_tables == 1:
            return [(self._table, self.bias)]
        biases = [None] * self.num_tables if self.bias is None else self.bias.view(self.num_tables, -1)
        return list(zip(self._table.view(self.num_tables, self.num_pieces, -1), biases))

    @property
    def _table(self) -> Tensor:
        return self._tied[0].weight if self.decoder is None else self.decoder.weight

    def _before_table(self, hidden: Tensor) -> Tensor:
        hidden = self.transform(hidden)
        if self._widen[0] is not None:
            hidden = hidden @ self._widen[0].weight
        return hidden * self.scale if self.scale != 1.0 else hidden

    def start_at(self, log_frequencies: Tensor) -> None:
        """Starts the decoder bias at log-frequencies [V] of the pieces, so that training need not first learn
        them. Does nothing to a head without decoder bias."""
        if self.bias is not None:
            with torch.no_grad():
                self.bias.view(self.num_tables, -1).copy_(log_frequencies)


class _Transform(nn.Module):
    def __init__(self, config: LMHead, hidden_size: int, width: int, norm: Norm):
        super().__init__()
        self.hidden_matrices = {"dense": 1}
        self.dense = nn.Linear(hidden_size, width, bias=config.bias)
        self.activate = ACTIVATIONS[config.activation]
        self.norm = norm.build(width)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.norm(self.activate(self.dense(hidden)))


@dataclass(frozen=True)
class Pooler:
    """BERT's summary of a row: its first piece, through a dense layer and tanh (1810.04805, code)."""

    activation: Activation = "tanh"

    def build(self, hidden_size: int) -> PoolerModule:
        return PoolerModule(self, hidden_size)


class PoolerModule(nn.Module):
    """From hidden [B, T, D] to [B, D]."""

    def __init__(self, config: Pooler, hidden_size: int):
        super().__init__()
        self.hidden_matrices = {"dense": 1}
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.activate = ACTIVATIONS[config.activation]

    def forward(self, hidden: Tensor) -> Tensor:
        return self.activate(self.dense(hidden[:, 0]))


class DetectionHead(nn.Module):
    """One logit for each piece: dense layer, activation, one unit, as in the release. [..., D] to [...]."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.hidden_matrices = {"dense": 1}
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.decision = nn.Linear(hidden_size, 1)
        self.activate = ACTIVATIONS["gelu"]

    def forward(self, hidden: Tensor) -> Tensor:
        return self.decision(self.activate(self.dense(hidden))).squeeze(-1)
