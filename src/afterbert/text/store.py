"""PLACEHOLDER: contract of the reading side; the helper who owns text/ replaces this file, keeping these names."""

from __future__ import annotations

import numpy as np


class Split:
    """One split (train, held_out) of a token store, memory-mapped.

    name: str; num_pieces, num_documents: int; planes: tuple of plane names; document_starts: int64 [D+1] token offsets; sentence_starts: int64 [S+1] token offsets
    (every document start is a sentence start); fingerprint: str (digest of contents).
    """

    name: str
    num_pieces: int
    num_documents: int
    plane_names: tuple[str, ...]
    document_starts: np.ndarray
    sentence_starts: np.ndarray
    fingerprint: str

    def pieces(self, index: np.ndarray) -> np.ndarray:
        """int32 [N]: the ids at these token offsets [N]."""
        raise AssertionError

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        """bool or uint8 [N]: a plane's values at these token offsets."""
        raise AssertionError
