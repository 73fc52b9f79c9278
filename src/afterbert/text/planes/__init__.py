"""What is known of a text and lost in its ids: one module for each annotation. The values stand beside the
ids, one per piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from afterbert.text.pieces.encoding import EncodedTexts


class Plane(ABC):
    """One value per piece, found on raw text. Frozen dataclasses.

    Promises: the values of a text do not depend on the texts around it; the first piece of a text is a start.
    Planes whose units cover the text say where units start, by one bit. Planes whose units do not (phrases,
    entities) have a width of 2, 4 or 8 bits: bit 0 is set on the first piece of a unit, bit 1 on every piece
    of it, the bits above hold a code for its type.
    """

    #: bits per piece in the store: 1, 2, 4 or 8
    width: ClassVar[int] = 1

    @abstractmethod
    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        """bool [T], or uint8 [T] where the width is more than 1."""

    def settled(self) -> Plane:
        """Gives the same plane with every choice that depends on what is installed written out; the store records
        this one."""
        return self
