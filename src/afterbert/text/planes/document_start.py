"""Where documents begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from afterbert.text.encoding import Encoded
from afterbert.text.planes import Plane


@dataclass(frozen=True)
class DocumentStart(Plane):
    """The first piece of each document."""

    def __call__(self, encoded: Encoded) -> np.ndarray:
        return encoded.pieces_with_start(np.zeros(len(encoded.characters), dtype=bool))
