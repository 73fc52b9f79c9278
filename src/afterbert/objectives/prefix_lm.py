"""Prefix language model: a prefix is read both ways, the rest is written from left to right.

Source: T5 (1910.10683), Sections 3.2.1 and 3.2.3; Liu et al. (1801.10198). One stack reads and writes; an
encoder-decoder that does so is objective `denoising` with selection `suffix`.
"""

from dataclasses import dataclass

from afterbert.base.errors import UserError
from afterbert.objectives.parts.next_piece import NextPieceObjective
from afterbert.objectives.parts.questions import check_answers
from afterbert.pretext.posed import AskedInPlace


@dataclass(frozen=True)
class PrefixLM(NextPieceObjective):
    """pretext: its answer is `next`, its visibility prefix; what is chosen (selection `suffix`) is written."""

    def __post_init__(self) -> None:
        check_answers(self.pretext, "prefix_lm", may=(AskedInPlace,), exactly_one=AskedInPlace)
        if "prefix" not in self.pretext.visibility.kinds:
            raise UserError(
                f"prefix_lm reads a prefix both ways, but visibility is {', '.join(self.pretext.visibility.kinds)}; "
                "set visibility.kinds to [prefix], or use causal_lm"
            )
