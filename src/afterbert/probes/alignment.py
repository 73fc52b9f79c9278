"""Do two sets of vectors that belong together row by row share a space? Retrieval, a rotation, and a similarity that
needs neither.

Sources: nearest neighbours without hubs (CSLS): Lample et al. 2018 (1710.04087), Section 2.3; the rotation: Schönemann
1966, as Conneau et al. 2020 (1911.01464), Section 4.1, take it, after iterative normalization (Zhang et al. 2019,
1906.01622); linear CKA: Kornblith et al. 2019 (1905.00414), Section 3. X and Y are float32 [N, D].
"""

from typing import Literal

import numpy as np

Measure = Literal["cosine", "csls"]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales vectors to length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def similarity(x: np.ndarray, y: np.ndarray, measure: Measure = "csls", *, neighbours: int = 10) -> np.ndarray:
    """Returns the similarity of each row of x with each of y, [N, M]: the cosine, or CSLS, which is twice the cosine
    less the mean cosine of either row with its nearest `neighbours` on the other side. By CSLS a row that is near to
    everything is found less often."""
    cosines = unit(x) @ unit(y).T
    if measure == "cosine":
        return cosines
    near_x, near_y = (_nearest(cosines, axis, neighbours) for axis in (1, 0))
    found: np.ndarray = 2 * cosines - near_x[:, None] - near_y[None]
    return found


def _nearest(cosines: np.ndarray, axis: int, neighbours: int) -> np.ndarray:
    """The mean of the highest cosines along an axis."""
    size = cosines.shape[axis]
    some = min(neighbours, size)
    found: np.ndarray = np.partition(cosines, size - some, axis=axis).take(range(size - some, size), axis).mean(axis)
    return found


def found_both_ways(x: np.ndarray, y: np.ndarray, measure: Measure = "csls") -> tuple[np.ndarray, np.ndarray]:
    """Returns bool [N] twice: whether the row of y that is most similar to row n of x is row n, and the same from y to
    x.

    >>> x = np.eye(4)
    >>> forth, back = found_both_ways(x, x[[0, 1, 3, 2]])
    >>> forth.tolist(), back.tolist()
    ([True, True, False, False], [True, True, False, False])
    """
    scores, right = similarity(x, y, measure), np.arange(len(x))
    return scores.argmax(1) == right, scores.argmax(0) == right


def rotation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the orthogonal W, [D, D], for which x W is nearest to y in the sum of squares: U V^T, where U S V^T is
    the singular value decomposition of x^T y.

    >>> turned = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> bool(np.allclose(rotation(x, x @ turned), turned))
    True
    """
    u, _, v = np.linalg.svd(x.T.astype(np.float64) @ y.astype(np.float64))
    found: np.ndarray = (u @ v).astype(x.dtype)
    return found


def normalized(x: np.ndarray, *, rounds: int = 5) -> np.ndarray:
    """Returns rows brought to length 1 and mean 0 in turn, so that both nearly hold: which no rotation changes."""
    for _ in range(rounds):
        x = unit(x)
        x = x - x.mean(0)
    return unit(x)


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Returns how similarly the rows of x [N, D] and of y [N, E] lie to each other, from 0 to 1. Rotations and scales
    do not matter, and widths may differ. With fewer rows than columns it is high by chance.

    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(linear_cka(x, 7 * x[:, [2, 0, 1]]), 6)
    1.0
    """
    x, y = (one.astype(np.float64) - one.mean(0, dtype=np.float64) for one in (x, y))
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / scale) if scale > 0 else 0.0
