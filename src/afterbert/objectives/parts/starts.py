"""What a fresh model may know of the training text before its first step: how often pieces are, and which stand near
which.

Vectors of pieces: the positive pointwise mutual information of each piece with the pieces one and two places before and
after it (Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization"; smoothed as in Levy,
Goldberg and Dagan 2015, Section 3.1), and of that matrix the singular vectors of the largest singular values, each
weighted by the root of its value, found by random projection (Halko et al. 2011, 0909.4061, Algorithm 4.4).
"""

from typing import Any

import numpy as np
import scipy.sparse
import torch

from afterbert.nn.heads import LMHeadModule
from afterbert.text.token_store.store import Split

_DISTANCES = (1, 2)
_SMOOTHING = 0.75  # Levy, Goldberg and Dagan 2015
_STRETCHES = 50
_NOTHING = 1e-12  # of the largest squared singular value: what is left of rounding
_LARGE = 1_000_000  # pieces of a text in which a pair that was seen once tells nothing
_MOST_NEIGHBOURS = 1 << 13  # the most frequent pieces; with
_MOST_DIRECTIONS = 256  # this bounds time and memory for large vocabularies and wide models


def sample(split: Split, most: int = 5_000_000) -> np.ndarray:
    """Returns pieces of a split, int32 [N]: all of them, or `most` in stretches from all over it, so that none of
    several languages is passed over."""
    if split.num_pieces <= most:
        return split.pieces(np.arange(split.num_pieces))
    starts = np.linspace(0, split.num_pieces - most // _STRETCHES, _STRETCHES).astype(np.int64)
    return split.pieces((starts[:, None] + np.arange(most // _STRETCHES)).ravel())


def start_bias(head: LMHeadModule, pieces: np.ndarray) -> None:
    """Sets the output bias of a head to the natural logarithm of the add-one smoothed shares of `pieces` [N]."""
    counts = np.bincount(pieces, minlength=head.num_pieces)
    head.start_at(torch.from_numpy(np.log((counts + 1) / (counts.sum() + head.num_pieces)).astype(np.float32)))


@torch.no_grad()
def start_vectors(table: torch.Tensor, pieces: np.ndarray) -> None:
    """Puts vectors of the pieces in `pieces` [N] in place of what was drawn for them in `table` [V, D]: of the same
    size, and around the same mean."""
    found = torch.from_numpy(neighbour_vectors(pieces, *table.shape)).to(table)
    mean = table.mean(0)
    width = found.shape[1]
    size = (table - mean).square().mean().sqrt() * width**0.5
    seen = found.any(1)
    table[seen, :width] = found[seen] * size + mean[:width]


def neighbour_vectors(pieces: np.ndarray, vocab_size: int, width: int) -> np.ndarray:
    """Returns vectors, float32 [V, at most D], of length 1: pieces with similar neighbours in the text [N] have similar
    vectors. A piece without telling neighbours gets zeros. The vectors are the same on every processor up to rounding.

    >>> text = np.array([0, 1, 5, 0, 2, 5, 0, 1, 5, 0, 2, 5, 3, 4, 3, 4, 3] * 4)
    >>> vectors = neighbour_vectors(text, 8, 4)
    >>> bool(vectors[1] @ vectors[2] > 0.9), bool(abs(vectors[1] @ vectors[4]) < 0.5), bool(vectors[7].any())
    (True, True, False)
    """
    near = scipy.sparse.hstack(
        [block for distance in _DISTANCES for block in _information(pieces, vocab_size, distance)], format="csr"
    )
    back = near.T.tocsr()
    width = min(width, vocab_size, _MOST_DIRECTIONS)
    draw = np.random.default_rng(0)
    # In float64 throughout: what rounds to nothing in one step is a whole direction after the next.
    found = near @ draw.standard_normal((near.shape[1], width))
    for _ in range(2):
        found = near @ (back @ np.linalg.qr(found)[0])
    basis = np.linalg.qr(found)[0]
    reached = back @ basis
    values, turns = np.linalg.eigh(reached.T @ reached)  # squares of the singular values
    kept = values > _NOTHING * values.max(initial=0.0)
    left = basis @ turns[:, kept]
    found = (left * values[kept] ** 0.25) @ _nearest_rotation(left.T @ draw.standard_normal((vocab_size, width)))
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    told = lengths > 1e-6 * max(lengths.max(initial=0.0), 1e-6)
    return np.where(told, found / np.where(told, lengths, 1), 0).astype(np.float32)


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The matrix [K, D] of orthonormal rows that is nearest to this one. Behind singular vectors it undoes their signs
    and their order among equals, which libraries choose: the product is the same whatever they chose."""
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    return left @ right


def _information(pieces: np.ndarray, vocab_size: int, distance: int) -> list[Any]:
    """[V, at most _MOST_NEIGHBOURS] sparse, of pieces with those `distance` places after them, and with those
    before."""
    first, second = pieces[:-distance].astype(np.int64), pieces[distance:].astype(np.int64)
    pairs, counts = np.unique(first * vocab_size + second, return_counts=True)
    rows, columns = pairs // vocab_size, pairs % vocab_size
    totals = [np.bincount(side, minlength=vocab_size).astype(np.float64) for side in (first, second)]
    least = 2 if len(pieces) > _LARGE else 1
    found = []
    for at, beside, of_at, of_beside in ((rows, columns, *totals), (columns, rows, *totals[::-1])):
        shares = of_beside**_SMOOTHING / (of_beside**_SMOOTHING).sum()
        rank = np.argsort(np.argsort(-of_beside, kind="stable"), kind="stable")
        values = np.log(counts / (of_at[at] * shares[beside]))
        kept = (values > 0) & (counts >= least) & (rank[beside] < _MOST_NEIGHBOURS)
        entries = (values[kept].astype(np.float32), (at[kept], rank[beside[kept]]))
        found.append(scipy.sparse.csr_matrix(entries, shape=(vocab_size, min(vocab_size, _MOST_NEIGHBOURS))))
    return found
