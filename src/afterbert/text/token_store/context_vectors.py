"""Vectors of pieces by the company they keep in a text, and rows of a model carried over by them.

A piece that a model does not know has a place among those it knows in the text itself. That place is written as a sum
of a few known pieces, and the same sum of the model's own rows is where the new one begins. Sources: vectors by
positive pointwise mutual information and its singular vectors, Levy and Goldberg 2014 (NIPS 27); the carrying over by
orthogonal matching pursuit, 2506.06607, and, between vectors learned on the text itself, FOCUS (2305.14481).
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from afterbert.text.token_store.store import Split

_WINDOW, _DIMENSIONS, _MOST_PIECES = 4, 64, 5_000_000
# Fewer neighbours do not tell where a piece belongs.
_LEAST_SEEN = 5


def context_vectors(split: Split, size: int) -> np.ndarray:
    """Unit vectors [V, D] of the pieces of a split, zero for those seen less than 5 times. Neighbours are up to four
    pieces away, in the same document; of a long text the first 5 M pieces count."""
    index = np.arange(min(split.num_pieces, _MOST_PIECES))
    ids, document = split.pieces(index), np.searchsorted(split.document_starts, index, side="right")
    together = sparse.csr_matrix((size, size))
    for apart in range(1, _WINDOW + 1):
        is_same = document[apart:] == document[:-apart]
        places = (ids[:-apart][is_same], ids[apart:][is_same])
        together += sparse.csr_matrix((np.ones(is_same.sum()), places), (size, size))
    counts = np.bincount(ids, minlength=size)
    table = (together + together.T).tocoo()
    around = np.bincount(table.row, table.data, size)
    # contexts by the power 0.75, as there, which keeps rare ones from being taken for telling
    expected = around[table.row] * around[table.col] ** 0.75 / (around**0.75).sum()
    telling = np.maximum(np.log(table.data / expected), 0.0)
    surprising = sparse.csr_matrix((telling, (table.row, table.col)), (size, size))
    found, strengths, _ = svds(surprising, k=min(_DIMENSIONS, size - 2), v0=np.ones(size))
    vectors = found * np.sqrt(strengths)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-9)
    return vectors * (counts >= _LEAST_SEEN)[:, None]


def matching_pursuit(wanted: np.ndarray, known: np.ndarray, *, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Each of wanted [N, D] as a sum of at most so many of known [A, D], unit vectors: which [N, K], and their weights
    [N, K]. Greedily: the one that is nearest to what is left, then the best weights of all that were taken.

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


def by_company(split: Split, size: int, first_new: int) -> tuple[np.ndarray, sparse.csr_matrix]:
    """The new pieces [N], numbered from first_new, that the split tells enough of, and each as a sum [N, V] of known
    ones."""
    vectors = context_vectors(split, size)
    has_vector = np.any(vectors, axis=1)
    known, new = np.flatnonzero(has_vector[:first_new]), first_new + np.flatnonzero(has_vector[first_new:])
    which, weights = matching_pursuit(vectors[new], vectors[known])
    row = np.repeat(np.arange(len(new)), which.shape[1])
    table = sparse.csr_matrix((weights.ravel(), (row, known[which].ravel())), (len(new), size))
    return new, table
