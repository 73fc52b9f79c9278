"""Denoising: read a corrupted text, write what is asked of the original: all of it, the missing spans, the
dropped pieces.

Sources: T5 (1910.10683), Sections 3.1 and 3.3; BART (1910.13461), Section 2; MASS (1905.02450), Section 3. On
an encoder-decoder, or on one stack that reads the corrupted text both ways and goes on writing behind it (T5's
prefix LM architecture, Section 3.2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Share
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch
from afterbert.objectives.parts.arrays import input_arrays, width_of
from afterbert.objectives.parts.posing import TextStart
from afterbert.objectives.parts.questions import check_answers
from afterbert.objectives.parts.written import behind, cut_to, shifted, shifted_in_place
from afterbert.pretext.posed import Posed, WrittenText
from afterbert.pretext.sight import Sight

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.objectives.modules import ObjectiveModule


@dataclass(frozen=True)
class Denoising(TextStart):
    """Writes the original text, or what is missing, from a corrupted one."""

    decoder_start: Literal["pad", "bos", "eos", "cls", "sep"] = "eos"
    """The special piece with which writing begins (BART: eos, T5: pad)."""
    layout: Literal["encoder_decoder", "behind"] = "encoder_decoder"
    """Whether an encoder reads and a decoder writes, or one stack writes after what it reads."""
    decoder_places: Literal["counted", "original"] = "counted"
    """Whether the decoder's rows hold just the target, or the target at its own places in a row of masks (MASS; without
    decoder_start)."""
    bottleneck: Literal["none", "mean", "first"] = "none"
    """What of the encoder the decoder looks at: all states; or one vector alone, their mean or the first, which then
    must hold the sentence (TSDAE 2104.06979, Section 3)."""
    dropout_share: Share = 1.0
    """Dropout works in this first share of the run's steps (BART 1910.13461, Section 5: not in the last tenth)."""

    def __post_init__(self) -> None:
        check_answers(self.pretext, "denoising", may=(WrittenText,), exactly_one=WrittenText)
        if self.layout == "behind" and self.pretext.visibility != Sight():
            raise UserError("layout behind itself says who sees whom; leave visibility out, or take encoder_decoder")
        if self.layout == "behind" and self.decoder_places == "original":
            raise UserError(
                "decoder_places original needs a decoder of its own; set layout to encoder_decoder, or "
                "decoder_places to counted"
            )

    def row_length(self, length: int) -> int:
        """Returns the length of rows to plan so that what is read and what is written both fit into `length`, each or
        together. What is read always fits; what is written fits in all but one row in a million; then the end of the
        text is left out, as T5's release does. Raises UserError if nothing fits."""
        shortest, row = self.pretext.pairing.num_specials + 2, self.pretext.row_length(length)
        while row > shortest and not self._fits(row, length):
            row -= 1
        if row < shortest or not self._fits(row, length):
            raise UserError(f"length {length} leaves no room for a text to read and one to write; choose more")
        return row

    def _fits(self, row: int, length: int) -> bool:
        both = self.pretext.shown_and_written(row)
        if self.layout == "encoder_decoder":
            return self.pretext.shown_length(row) <= length and max(written for _, written in both) <= length
        return max(read + written for read, written in both) <= length

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        (text,) = (asked for asked in posed.asked if isinstance(asked, WrittenText))
        is_behind = self.layout == "behind"
        text = cut_to(text, length - posed.shown.lengths if is_behind else np.full(len(posed.shown), length))
        start = vocabulary.need(self.decoder_start) if self.decoder_places == "counted" else -1
        num_tokens = posed.shown.num_pieces + text.target.num_pieces
        if is_behind:
            posed, written = behind(posed, text, start)
            width = width_of(posed.shown, length)
            written = written.padded(posed.shown, width)
            arrays = input_arrays(posed, vocabulary, width=width)
        else:
            arrays = input_arrays(posed, vocabulary, width=width_of(posed.shown, length))
            if self.decoder_places == "counted":
                rows, written = shifted(text, start)
            else:
                rows, written = shifted_in_place(text, posed.original, vocabulary.need("mask"))
            width = width_of(rows, length)
            written = written.padded(rows, width)
            pad = vocabulary.pad if vocabulary.pad is not None else 0
            arrays["decoder_input_ids"] = rows.padded(rows.piece_ids, fill=pad, length=width).astype(np.int64)
            arrays["decoder_lengths"] = np.maximum(rows.lengths, 1)
        if noise.progress + 1e-9 >= self.dropout_share and self.dropout_share < 1:
            arrays["undropped"] = np.zeros(0, dtype=bool)  # its presence says it
        arrays |= {"chosen": written.positions, "target_ids": written.target_ids.astype(np.int64)}
        return Batch(arrays, {"written": len(written.positions)}, num_tokens, posed.shown.keys)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        if self.decoder_places == "counted":
            vocabulary.need(self.decoder_start)
        from afterbert.objectives.modules.denoising import DenoisingModule

        return DenoisingModule(self, architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        if self.bottleneck != "none" and (self.layout, self.decoder_places) != ("encoder_decoder", "counted"):
            raise UserError(
                "a bottleneck needs an encoder, and a decoder that counts its places; set "
                "layout to encoder_decoder and decoder_places to counted"
            )
        fits = architecture.writes == "apart" if self.layout == "encoder_decoder" else architecture.obeys_visibility
        if not fits:
            wanted = "encoder_decoder" if self.layout == "encoder_decoder" else "decoder"
            raise UserError(
                f"denoising with layout {self.layout} does not fit model {name_of(architecture)}; set model.type to "
                f"{wanted}, or choose the other layout"
            )
