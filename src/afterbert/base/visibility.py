"""Who may attend to whom, said in a few small arrays; never as a dense square.

A pretext task states it, the attention brick turns it into whatever its kernel wants.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["full", "causal", "reverse", "prefix", "permutation"]


@dataclass(frozen=True)
class Visibility:
    """The rule for one ragged batch of B rows, T pieces in all. A piece at position i of its row may attend
    to j of the same row when

    - full: always; causal: j <= i; reverse: j >= i;
    - prefix: j < prefix_lengths[row] or j <= i;
    - permutation: rank[j] <= rank[i] (content stream), rank[j] < rank[i] (query stream), XLNet Section 2.2;

    and, where `documents` is given, both stand in the same document. Padding is never visible: lengths come
    from the rows.

    prefix_lengths: int64 [B]; rank: int64 [T]; documents: int64 [T], any numbering. `kind` may also be a
    tuple of one kind per row (UniLM's mixture), with the arrays that its kinds need.
    """

    kind: Kind | tuple[Kind, ...] = "full"
    prefix_lengths: np.ndarray | None = None
    rank: np.ndarray | None = None
    documents: np.ndarray | None = None
