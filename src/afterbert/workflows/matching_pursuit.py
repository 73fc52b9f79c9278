"""Where new pieces begin: as sums of known pieces that stand in like company in the text.

Source: orthogonal matching pursuit between two tables of pieces (2506.06607). The table in which new pieces are found
is made of the text's own neighbours here, as FOCUS (2305.14481) makes its one of the text.
"""

import numpy as np
from scipy import sparse

from afterbert.objectives.parts.starts import neighbour_vectors, sample
from afterbert.text.token_store.store import Split

_DIMENSIONS = 64
# Fewer neighbours do not tell where a piece belongs.
_LEAST_SEEN = 5


def by_company(split: Split, size: int, first_new: int) -> tuple[np.ndarray, sparse.csr_matrix]:
    """Returns the new pieces [N], numbered from first_new, about which the split tells enough, and each as a sum [N, V]
    of known ones."""
    pieces = sample(split)
    vectors = neighbour_vectors(pieces, size, _DIMENSIONS).astype(np.float64)
    is_told = np.any(vectors, axis=1) & (np.bincount(pieces, minlength=size) >= _LEAST_SEEN)
    known, new = np.flatnonzero(is_told[:first_new]), first_new + np.flatnonzero(is_told[first_new:])
    which, weights = matching_pursuit(vectors[new], vectors[known])
    row = np.repeat(np.arange(len(new)), which.shape[1])
    return new, sparse.csr_matrix((weights.ravel(), (row, known[which].ravel())), (len(new), size))


def matching_pursuit(wanted: np.ndarray, known: np.ndarray, *, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Returns each of wanted [N, D] as a sum of at most this many of known [A, D], unit vectors: which [N, K], and
    their weights [N, K]. Greedily: the one nearest to what is left, then the best weights of all that were taken.

    >>> which, weights = matching_pursuit(np.array([[0.6, 0.8]]), np.eye(2), most=2)
    >>> which.tolist(), weights.round(2).tolist()
    ([[1, 0]], [[0.8, 0.6]])
    """
    taken = np.zeros((len(wanted), 0), dtype=np.int64)
    weights, left = np.zeros((len(wanted), 0)), wanted
    for _ in range(min(most, len(known))):
        near = np.abs(left @ known.T)
        np.put_along_axis(near, taken, -1.0, axis=1)
        taken = np.concatenate([taken, near.argmax(axis=1)[:, None]], axis=1)
        atoms = known[taken]
        # almost parallel ones would get huge weights of both signs
        gram = atoms @ atoms.transpose(0, 2, 1) + 1e-3 * np.eye(taken.shape[1])
        weights = np.linalg.solve(gram, (atoms @ wanted[:, :, None]))[:, :, 0]
        left = wanted - np.einsum("nk,nkd->nd", weights, atoms)
    return taken, weights
