"""What is to be written for each row of a split, and how a backbone reads a row while it writes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Backbone
from afterbert.nn.inputs import Inputs
from afterbert.nn.past import Past
from afterbert.nn.stack import EncoderOutput
from afterbert.nn.visibility import PaddedVisibility
from afterbert.objectives.parts.written import shifted
from afterbert.pretext.posed import WrittenText
from afterbert.text.pieces.tokenizer import Tokenizer


def end_of(vocabulary: Vocabulary) -> int:
    """Returns the piece that closes a text. Raises UserError if the tokenizer has none."""
    return vocabulary.sep if vocabulary.eos is None and vocabulary.sep is not None else vocabulary.need("eos")


@dataclass(frozen=True)
class ToWrite:
    """targets: one row for each row that is read, closed by `end`; start: the piece with which writing begins."""

    targets: Rows
    start: int
    end: int
    tokenizer: Tokenizer

    def arrays(self, numbers: np.ndarray, *, pad: int) -> dict[str, np.ndarray]:
        """Gives, for the rows `numbers` [B], `decoder_input_ids` and `target_ids` [B, U], the latter -1 behind its end;
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
        """Decodes what was written, without special pieces; -1 is nothing. An unknown piece stands as U+FFFD, so that
        what is written with it is never taken for an answer."""
        piece_ids = piece_ids[piece_ids >= 0]
        unknown = self.tokenizer.vocabulary.unknown
        places = np.flatnonzero(piece_ids == unknown) if unknown is not None else ()
        parts = [part[part != unknown] for part in np.split(piece_ids, places)]
        return "\ufffd".join(self.tokenizer.decode(part) for part in parts).strip()


def writing_states(backbone: Backbone, arrays: Mapping[str, Tensor]) -> Tensor:
    """Returns hidden states [B, U, D] of `decoder_input_ids`. The model is a decoder that looks at an encoder's states,
    or one stack that reads `input_ids` and goes on right after each row's last piece, in place of the padding."""
    ids, written = arrays["input_ids"], arrays["decoder_input_ids"]
    if backbone.writes_apart:
        return backbone.decode(written, backbone.encode(Inputs.of(arrays)))
    places = arrays["last"][:, None] + 1 + torch.arange(written.shape[1], device=ids.device)
    rows = torch.cat((ids, torch.zeros_like(written)), dim=1).scatter(1, places, written)
    hidden = backbone(rows)
    return hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))


class Writer:
    """The next piece of each text that is being written (`generation.NextPiece`). What was read is read only once:
    an encoder's states, and the keys and values of a decoder, are remembered.

    arrays: of the batch that is read, `input_ids` [B, T] and, for one stack, `last` [B], the place of each row's
    last piece (-1 for a row of padding only).
    """

    def __init__(self, backbone: Backbone, lm_head: nn.Module, arrays: Mapping[str, Tensor]):
        self.backbone, self.lm_head, self.past = backbone, lm_head, Past()
        self.encoded: EncoderOutput | None = None
        self._known: int | None = None
        ids = arrays["input_ids"]
        if backbone.writes_apart:
            self.first = torch.zeros(len(ids), dtype=torch.long, device=ids.device)
            self._lengths = {key: array for key, array in arrays.items() if key == "visible_lengths"}
            self.encoded = backbone.encode(Inputs(ids, visibility=PaddedVisibility.of(self._lengths)))
        else:
            self.first = arrays["last"] + 1
            places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
            if ids.shape[1]:
                self._read(ids, places, places < self.first[:, None])

    def __call__(self, written: Tensor, rows: Tensor, parents: Tensor | None) -> Tensor:
        """Logits [N, V]; see `NextPiece`."""
        if self._known is None:
            self._begin(rows)
        elif parents is not None:
            self.past.reorder(parents)
        known, self._known = self._known or 0, written.shape[1]
        places = self.first[:, None] + torch.arange(known, written.shape[1], device=written.device)
        hidden = self._read(written[:, known:], places, torch.ones_like(places, dtype=torch.bool))
        return self.lm_head(hidden[:, -1])

    def _begin(self, rows: Tensor) -> None:
        """One text for each of `rows`, which may name a row several times."""
        self.past.reorder(rows)
        self.first = self.first[rows]
        if self.encoded is not None:
            lengths = {key: array[rows] for key, array in self._lengths.items()}
            self.encoded = EncoderOutput(self.encoded.hidden[rows], PaddedVisibility.of(lengths))

    def _read(self, ids: Tensor, places: Tensor, is_piece: Tensor) -> Tensor:
        self.past.begin(places, is_piece)
        if self.encoded is not None:
            return self.backbone.decode(ids, self.encoded, position_ids=places, past=self.past)
        return self.backbone(ids, position_ids=places, past=self.past)
