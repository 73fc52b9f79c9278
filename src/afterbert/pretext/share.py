"""How many pieces a rate means: the one rounding rule of every budget."""

from typing import Literal

import numpy as np

Rounding = Literal["nearest", "up"]


def share(rate: float, sizes: np.ndarray, rounding: Rounding = "nearest") -> np.ndarray:
    """int64 [B]: `rate` of `sizes` [B], rounded to the nearest integer (halves to even, as Python's `round`), but at
    least 1 of what is there and at most all of it. `up` rounds up instead (SpanBERT's release).

    BERT's `max(1, round(0.15 * n))`, for all laws; an empty row's share is 0.

    >>> share(0.15, np.array([0, 1, 5, 10, 100])).tolist()
    [0, 1, 1, 2, 15]
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    # the guard keeps 0.15 * 20 = 3.0000000000000004 from rounding up to 4
    wanted = np.rint(rate * sizes) if rounding == "nearest" else np.ceil(rate * sizes - 1e-9)
    return np.clip(wanted.astype(np.int64), np.minimum(sizes, 1), sizes)
