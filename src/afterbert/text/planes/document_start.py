"""Where documents begin."""

from dataclasses import dataclass

import numpy as np

from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes import Plane


@dataclass(frozen=True)
class DocumentStart(Plane):
    """The first piece of each document."""

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        is_start = np.zeros(len(encoded.piece_ids), dtype=bool)
        is_start[encoded.piece_starts[:-1][np.diff(encoded.piece_starts) > 0]] = True
        return is_start
