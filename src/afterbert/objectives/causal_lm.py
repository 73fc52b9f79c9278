"""Left-to-right language model: each piece from all that stand before it.

Source: GPT-2 (Radford et al. 2019), Section 2. On a decoder, or on an encoder that looks left only (the LTR
arm of BERT, 1810.04805, Table 5).
"""

from dataclasses import dataclass

from afterbert.base.errors import UserError
from afterbert.objectives.parts.next_piece import NextPieceObjective
from afterbert.objectives.parts.questions import check_answers
from afterbert.pretext.posed import AskedInPlace


@dataclass(frozen=True)
class CausalLM(NextPieceObjective):
    """pretext: its answer is `next` and its visibility causal."""

    def __post_init__(self) -> None:
        check_answers(self.pretext, "causal_lm", may=(AskedInPlace,), exactly_one=AskedInPlace)
        if self.pretext.visibility.kinds != ("causal",):
            raise UserError(
                f"causal_lm reads left to right, but visibility is {', '.join(self.pretext.visibility.kinds)}; set "
                "visibility.kinds to [causal], or use prefix_lm"
            )
