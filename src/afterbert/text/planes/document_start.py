"""Where documents begin."""

from dataclasses import dataclass

import numpy as np

from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes import Plane


@dataclass(frozen=True)
class DocumentStart(Plane):
    """The first piece of each document."""

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        return encoded.pieces_with_start(np.zeros(len(encoded.characters), dtype=bool))
