"""Unknown pieces: how many there are, and how many are too many."""

from __future__ import annotations

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary

#: a model of more unknown pieces learns little else, and looks good at it
MOST_UNKNOWN = 0.1
_REMEDY = "take a tokenizer that knows every text: --tokenizer bpe or --tokenizer byte_level_bpe"


def unknown_among(piece_ids: np.ndarray, vocabulary: Vocabulary) -> int:
    """How many of these pieces stand for text that the tokenizer does not know."""
    return 0 if vocabulary.unk is None else int((piece_ids == vocabulary.unk).sum())


def check_unknown(
    unknown: int, total: int, most: float, *, whose: str = "these texts", remedy: str = _REMEDY
) -> None:
    """Raises UserError where more than the share `most` of the pieces is unknown. whose: the texts, and remedy, in
    words."""
    if unknown > most * total:
        raise UserError(
            f"the tokenizer does not know {unknown:,} of the {total:,} pieces of {whose} ({unknown / total:.0%}), more "
            f"than {most:.0%} teach a model nothing; {remedy}, or raise --max-unknown"
        )
