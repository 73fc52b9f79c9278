"""Writing a text piece by piece: the likeliest next piece, the best of several beams, or a draw.

Sources: beams with length penalty: Wu et al. 2016 (1609.08144), Section 7, Equation 14, without coverage; T5
(1910.10683), Section 3.7, uses 4 beams and 0.6. Drawing from the k likeliest: Fan et al. 2018 (1805.04833); from
the likeliest that hold a share p: Holtzman et al. 2019 (1904.09751).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise

#: What is written so far [N, U], beginning with the start piece; which source row each belongs to [N], always the
#: same; which row of the call before each goes on from [N], None where each goes on from itself -> logits [N, V] of
#: the next piece.
NextPiece = Callable[[Tensor, Tensor, Tensor | None], Tensor]
#: What is written so far [B, U], without the start piece -> which rows shall end here [B], or None for none.
Watch = Callable[[Tensor], Tensor | None]

# Fills up a row behind its end.
NOTHING = -1


@dataclass(frozen=True)
class Generation:
    """The way in which texts are written."""

    method: Literal["greedy", "beam", "sample"] = "greedy"
    num_beams: Annotated[int, Field(gt=0)] = 4
    """How many texts `beam` follows at once."""
    length_penalty: Annotated[float, Field(ge=0)] = 0.6
    """For `beam`: 0 compares sums, a higher penalty favours longer texts."""
    penalizes: Literal["wu", "length"] = "wu"
    """What the sum is divided by: ((5 + length) / 6) ** penalty (Wu et al.), or length ** penalty (transformers)."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """For `sample`: what the logits are divided by."""
    top_k: Annotated[int, Field(gt=0)] | None = None
    """For `sample`: only so many of the likeliest pieces are drawn from; None: all."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """For `sample`: only the likeliest pieces with this probability together are drawn from; None: all."""
    seed: Annotated[int, Field(ge=0)] = 0
    """For `sample`: the seed of the draws."""

    def __post_init__(self) -> None:
        if self.method != "sample" and (self.top_k or self.top_p or self.temperature != 1.0):
            raise UserError(
                f"temperature, top_k and top_p have no effect on method {self.method}; set method to sample"
            )

    def several(self, count: int) -> "list[Generation]":
        """Returns ways to write so many texts, of one seed each. Raises UserError where they would all be the same."""
        if count > 1 and self.method != "sample":
            raise UserError(f"method {self.method} writes the same text each time; leave count out, or draw")
        return [replace(self, seed=self.seed + number) for number in range(count)]

    def __call__(
        self,
        next_piece: NextPiece,
        numbers: Tensor,
        *,
        start: int | Tensor,
        end: int,
        longest: int,
        watch: Watch | None = None,
    ) -> Tensor:
        """int64 [B, U <= longest]: the pieces written for each source row, `end` included where it was reached, then
        -1. numbers [B]: stable names of the rows, on which draws hang. start: the piece with which writing begins, or
        one for each row [B]. watch: called after each piece; beams, which are no text yet, ask it nothing."""
        written = torch.zeros_like(numbers)[:, None] + torch.as_tensor(start, device=numbers.device).view(-1, 1)
        if self.method == "beam":
            return self._beams(next_piece, written, end, longest)
        rows = torch.arange(len(numbers), device=numbers.device)
        is_open = torch.ones(len(numbers), dtype=torch.bool, device=numbers.device)
        while written.shape[1] <= longest and is_open.any():
            # Rows that have ended are read on as if they wrote `end`, and ignored.
            logits = next_piece(written.where(written >= 0, end), rows, None).float()
            chosen = logits.argmax(-1) if self.method == "greedy" else self._drawn(logits, numbers, written)
            written = torch.cat((written, chosen.where(is_open, NOTHING)[:, None]), dim=1)
            is_open = is_open & (chosen != end)
            ends_here = watch(written[:, 1:]) if watch is not None else None
            if ends_here is not None:
                is_open = is_open & ~ends_here
        return written[:, 1:]

    def _drawn(self, logits: Tensor, numbers: Tensor, written: Tensor) -> Tensor:
        """One piece a row [B] from logits [B, V]: the same for a row in any batch."""
        chances, pieces = (logits / self.temperature).softmax(-1).sort(-1, descending=True)
        before = chances.cumsum(-1) - chances
        is_kept = torch.ones_like(chances, dtype=torch.bool)
        if self.top_k is not None:
            is_kept[:, self.top_k :] = False
        if self.top_p is not None:
            is_kept &= before < self.top_p
        shares = (chances * is_kept).double().cumsum(-1)
        names = numbers.cpu().numpy().astype(np.uint64)
        drawn = Noise(self.seed).of("sample").uniform(names, np.full(len(names), written.shape[1]))
        levels = torch.as_tensor(drawn, device=logits.device).double()[:, None] * shares[:, -1:]
        place = torch.minimum((shares <= levels).sum(-1, keepdim=True), is_kept.sum(-1, keepdim=True) - 1)
        return pieces.gather(-1, place)[:, 0]

    def _beams(self, next_piece: NextPiece, begun: Tensor, end: int, longest: int) -> Tensor:
        """B rows, K beams, from the start pieces [B, 1]. A row's answer is the best text that ended; where none
        did, the best beam."""
        beams, num_rows, device = self.num_beams, len(begun), begun.device
        written = begun[:, None].expand(-1, beams, -1)
        # All beams begin alike; only the first one counts until they differ.
        scores = torch.full((num_rows, beams), -torch.inf, device=device)
        scores[:, 0] = 0
        best = torch.full((num_rows,), -torch.inf, device=device)
        answers = torch.full((num_rows, longest), NOTHING, device=device)
        rows = torch.arange(num_rows, device=device)
        parents = None
        for length in range(1, longest + 1):
            flat = written.reshape(num_rows * beams, -1)
            logits = next_piece(flat, rows.repeat_interleave(beams), parents).float().log_softmax(-1)
            size = logits.shape[-1]
            totals = (scores[..., None] + logits.reshape(num_rows, beams, size)).reshape(num_rows, -1)
            found, index = totals.topk(min(2 * beams, totals.shape[1]), dim=-1)
            pieces = index % size
            longer = torch.cat((written[rows[:, None], index // size], pieces[..., None]), dim=-1)
            ended, at = found.masked_fill(pieces != end, -torch.inf).max(-1)
            ended = ended / self._penalty(length)
            is_better = ended > best
            best = torch.where(is_better, ended, best)
            answers[is_better] = NOTHING
            answers[is_better, :length] = longer[rows, at][is_better, 1:]
            scores, order = found.masked_fill(pieces == end, -torch.inf).topk(beams, dim=-1)
            written = longer[rows[:, None], order]
            parents = (rows[:, None] * beams + (index // size).gather(1, order)).flatten()
            # Sums only fall and the divisor only grows: no open beam can become better than this.
            if (scores[:, 0] / self._penalty(longest) <= best).all():
                break
        is_open = best.isneginf()
        answers[is_open, : written.shape[-1] - 1] = written[is_open, 0, 1:]
        return answers

    def _penalty(self, length: int) -> float:
        base = (5 + length) / 6 if self.penalizes == "wu" else length
        return float(base**self.length_penalty)
