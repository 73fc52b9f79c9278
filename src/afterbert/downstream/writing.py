"""What is to be written for each row of a split, and how a backbone reads a row while it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.models.encoder_decoder import EncoderDecoderModule
from afterbert.nn.stack import Encoded
from afterbert.nn.visibility import PaddedVisibility
from afterbert.objectives._written import shifted
from afterbert.pretext.posed import WrittenText
from afterbert.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class ToWrite:
    """targets: one row for each row that is read, closed by `end`; start: the piece with which writing begins."""

    targets: Rows
    start: int
    end: int
    tokenizer: Tokenizer

    def arrays(self, numbers: np.ndarray, *, pad: int) -> dict[str, np.ndarray]:
        """Of the rows `numbers` [B]: `decoder_input_ids` and `target_ids` [B, U], the latter -1 behind its end;
        `number` [B], the rows' own numbers."""
        lengths = self.targets.lengths[numbers]
        index = ranges(self.targets.row_starts[numbers], lengths)
        chosen = Rows(self.targets.piece_ids[index], starts_of(lengths), self.targets.keys[numbers])
        read, _ = shifted(WrittenText(chosen), self.start)
        width = int(lengths.max(initial=1))
        return {
            "decoder_input_ids": read.padded(read.piece_ids, fill=pad, length=width).astype(np.int64),
            "target_ids": chosen.padded(chosen.piece_ids, fill=-1, length=width).astype(np.int64),
            "number": numbers.astype(np.int64),
        }

    def text(self, piece_ids: np.ndarray) -> str:
        """What was written, without special pieces; -1 is nothing."""
        return self.tokenizer.decode(piece_ids[piece_ids >= 0]).strip()


def writing_states(backbone: nn.Module, arrays: Mapping[str, Tensor]) -> Tensor:
    """Hidden states [B, U, D] of `decoder_input_ids`: of a decoder that looks at an encoder's states, or of
    one stack that reads `input_ids` and goes on behind them."""
    return reader(backbone, arrays)(arrays["decoder_input_ids"], slice(None))


def reader(backbone: nn.Module, arrays: Mapping[str, Tensor]) -> Callable[[Tensor, Tensor | slice], Tensor]:
    """(written [N, U], which rows of the batch they answer [N]) -> hidden states [N, U, D]. An encoder reads
    the batch only once."""
    ids = arrays["input_ids"]
    if not isinstance(backbone, EncoderDecoderModule):
        return lambda written, rows: _behind(backbone, ids[rows], arrays["last"][rows], written)
    rule = PaddedVisibility.of(arrays)
    hidden = backbone.encode(ids, visibility=rule)

    def read(written: Tensor, rows: Tensor | slice) -> Tensor:
        if isinstance(rows, slice):
            return backbone.decode(written, Encoded(hidden, rule))
        lengths = {key: array[rows] for key, array in arrays.items() if key == "visible_lengths"}
        return backbone.decode(written, Encoded(hidden[rows], PaddedVisibility.of(lengths)))

    return read


def _behind(backbone: nn.Module, ids: Tensor, last: Tensor, written: Tensor) -> Tensor:
    """What is written stands right behind each row's last piece, in place of the padding."""
    places = last[:, None] + 1 + torch.arange(written.shape[1], device=ids.device)
    rows = torch.cat((ids, torch.zeros_like(written)), dim=1).scatter(1, places, written)
    hidden = backbone(rows)
    return hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))
