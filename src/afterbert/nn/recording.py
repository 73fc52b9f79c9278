"""What a model computes on its way, kept while somebody asks for it: the hidden states of every layer and, if wanted,
everything of its attention.

Distillation compares these of a teacher and a student (DistilBERT 1910.01108; TinyBERT 1909.10351, Equations 7 and 8,
takes hidden states and scores; MiniLM 2002.10957 weights and values), pruning weighs heads by them (Michel et al.
1905.10650). They are taken from the passes that run anyway, so whoever wraps an objective need not read the rows twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Attended:
    """One attention of one layer, as it was computed.

    query, key, value: [B, H, U, K] and [B, H, T, K]; queries are scaled and, as keys are, know their places. scores:
    [B, H, U, T] before the softmax, with positions and segments, the invisible ones at the lowest number. weights:
    [B, H, U, T], the attention map, before dropout. mixed: [B, H, U, K], the values mixed by it, head by head.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scores: Tensor
    weights: Tensor
    mixed: Tensor


@dataclass
class Pass:
    """One pass through one stack of layers.

    stream: `stack`, `decoder_stack` beside an encoder, or `query` for the second stream of a permutation model.
    hidden: L + 1 states [B, T, D], of the embeddings and after each layer, before a final norm. last: [B, T, D], what
    came out at the end, final norm included. attention, across: one entry a layer, of the pieces to each other and to
    an encoder; empty where attention was not asked for.
    """

    stream: str
    hidden: list[Tensor] = field(default_factory=list)
    attention: list[Attended] = field(default_factory=list)
    across: list[Attended] = field(default_factory=list)
    last: Tensor | None = None


@dataclass
class Recording:
    """All passes since it began, in their order. keeps_attention: whether maps are wanted; attention is then computed
    step by step in place of the fused kernel, which is exact and slower, and holds every score in memory."""

    keeps_attention: bool = False
    passes: list[Pass] = field(default_factory=list)

    def begin(self, stream: str, hidden: Tensor) -> Pass:
        """Returns a new pass that begins with these states [B, T, D]."""
        self.passes.append(Pass(stream, [hidden]))
        return self.passes[-1]


@contextmanager
def recorded(backbone: nn.Module, *, attention: bool = False) -> Iterator[Recording]:
    """Keeps every pass of the backbone inside the block in the recording that it gives.

    All states are computed then, also where only some places are asked for; what comes out is the same but for the
    last bits. Not for passes that remember what was read before (`Past`).
    """
    recording = Recording(attention)
    listeners: list[Any] = [part for part in backbone.modules() if hasattr(part, "recording")]
    assert listeners, "an architecture's stacks keep a `recording`"
    for part in listeners:
        assert part.recording is None, "one recording at a time"
        part.recording = recording
    try:
        yield recording
    finally:
        for part in listeners:
            part.recording = None
