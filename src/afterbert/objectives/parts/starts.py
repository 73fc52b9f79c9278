"""What a fresh model may know of the training text before its first step: how often pieces are, and which stand near
which.

Vectors of pieces: the positive pointwise mutual information of each piece with the pieces one and two places before and
after it (Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization"; smoothed as in Levy,
Goldberg and Dagan 2015, Section 3.1), and of that matrix the singular vectors of the largest singular values, each
weighted by the root of its value, found by random projection (Halko et al. 2011, 0909.4061, Algorithm 4.4).

Where there are translations, the same can be done for what is alike across languages: pieces of both texts of a pair
have that pair in common, and its number is information about them as a neighbour is (Levy, Søgaard and Goldberg 2017,
1608.05426, "sentence IDs"). Neighbours then tell by their vectors in place of themselves, so that a noun behind `der`
and one behind `the` have the same kind of neighbour; this second step is ours.
"""

from typing import Any

import numpy as np
import scipy.sparse
import torch

from afterbert.nn.heads import LMHeadModule
from afterbert.text.token_store.store import Split

_DISTANCES = (1, 2)
_SMOOTHING = 0.75  # Levy, Goldberg and Dagan 2015
_MOST_PIECES = 5_000_000
_STRETCHES = 50
_NOTHING = 1e-12  # of the largest squared singular value: what is left of rounding
_LARGE = 1_000_000  # pieces of a text in which a pair that was seen once tells nothing
_MOST_NEIGHBOURS = 1 << 13  # the most frequent pieces; with
_MOST_DIRECTIONS = 256  # this bounds time and memory for large vocabularies and wide models


def sample(split: Split, most: int = _MOST_PIECES) -> np.ndarray:
    """Returns pieces of a split, int32 [N]: all of them, or `most` in stretches from all over it, so that none of
    several languages is passed over."""
    return split.pieces(_sampled(split, most))


def _sampled(split: Split, most: int = _MOST_PIECES) -> np.ndarray:
    """The places [N] of the pieces of `sample`."""
    if split.num_pieces <= most:
        return np.arange(split.num_pieces)
    starts = np.linspace(0, split.num_pieces - most // _STRETCHES, _STRETCHES).astype(np.int64)
    return (starts[:, None] + np.arange(most // _STRETCHES)).ravel()


def _rows(split: Split, index: np.ndarray, table: tuple[int, int]) -> np.ndarray:
    """Which row of a table of (rows, tables) the pieces at some places [N] read: each language has its own rows."""
    num_rows, tables = table
    pieces = split.pieces(index)
    return pieces if tables == 1 else pieces + num_rows // tables * split.language_at(index).astype(np.int32)


def sampled_rows(split: Split, vocab_size: int, *, tables: int = 1) -> np.ndarray:
    """Returns the rows of a table of V that the pieces of `sample` read, int32 [N]. tables: V rows are so many tables,
    one for each language, and a piece counts in that of its own."""
    return _rows(split, _sampled(split), (vocab_size, tables))


def start_bias(head: LMHeadModule, pieces: np.ndarray) -> None:
    """Sets the output bias of a head to the natural logarithm of the add-one smoothed shares of `pieces` [N]."""
    counts = np.bincount(pieces, minlength=head.num_pieces)
    head.start_at(torch.from_numpy(np.log((counts + 1) / (counts.sum() + head.num_pieces)).astype(np.float32)))


@torch.no_grad()
def start_vectors(table: torch.Tensor, vectors: np.ndarray) -> None:
    """Puts vectors [V, at most D] in place of what was drawn in `table` [V, D]: of the same size, and around the same
    mean. A vector of zeros leaves what was drawn."""
    found = torch.from_numpy(vectors).to(table)
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
    near = [block for block, _ in _neighbours(pieces, vocab_size)]
    return _directions(scipy.sparse.hstack(near, format="csr"), min(width, vocab_size, _MOST_DIRECTIONS))


def translation_vectors(split: Split, vocab_size: int, width: int, *, tables: int = 1) -> np.ndarray:
    """Returns vectors as `neighbour_vectors` does: pieces that stand in the same pairs of translations, and beside
    pieces that do, have similar vectors, whatever their language. Without pairs these are `neighbour_vectors`.
    tables: as in `sampled_rows`."""
    table, width = (vocab_size, tables), min(width, vocab_size, _MOST_DIRECTIONS)
    pieces = sampled_rows(split, vocab_size, tables=tables)
    if not len(split.pairs[1]):
        return neighbour_vectors(pieces, vocab_size, width)
    alike = _directions(_pairs(split, table), width)
    beside = [block @ alike[columns] for block, columns in _neighbours(pieces, vocab_size)]
    around = np.concatenate(beside, axis=1)
    around /= np.maximum(np.linalg.norm(around, axis=1, keepdims=True), _NOTHING)
    return _directions(np.concatenate((around, alike), axis=1), width)


def _directions(known: Any, width: int) -> np.ndarray:
    """Rows of length 1, float32 [V, at most `width`], from what is known of each piece [V, K], sparse or dense."""
    back = known.T.tocsr() if scipy.sparse.issparse(known) else known.T
    draw = np.random.default_rng(0)
    # In float64 throughout: what rounds to nothing in one step is a whole direction after the next.
    found = known @ draw.standard_normal((known.shape[1], width))
    for _ in range(2):
        found = known @ (back @ np.linalg.qr(found)[0])
    basis = np.linalg.qr(found)[0]
    reached = back @ basis
    values, turns = np.linalg.eigh(reached.T @ reached)  # squares of the singular values
    kept = values > _NOTHING * values.max(initial=0.0)
    left = basis @ turns[:, kept]
    found = (left * values[kept] ** 0.25) @ _nearest_rotation(left.T @ draw.standard_normal((known.shape[0], width)))
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    told = lengths > 1e-6 * max(lengths.max(initial=0.0), 1e-6)
    return np.where(told, found / np.where(told, lengths, 1), 0).astype(np.float32)


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The matrix [K, D] of orthonormal rows that is nearest to this one. Behind singular vectors it undoes their signs
    and their order among equals, which libraries choose: the product is the same whatever they chose."""
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    return left @ right


def _pairs(split: Split, table: tuple[int, int]) -> Any:
    """[V, P] sparse: the positive pointwise mutual information of each piece with each pair in whose texts it is; of a
    split with more pieces than `sample` takes, as many pairs from all over it."""
    whole, firsts = split.pairs
    starts = whole.document_starts
    share = max(1, -(-int((starts[firsts + 2] - starts[firsts]).sum()) // _MOST_PIECES))
    firsts = firsts[::share]
    sizes = starts[firsts + 2] - starts[firsts]  # both texts of a pair lie side by side
    pair = np.repeat(np.arange(len(firsts)), sizes)
    index = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes - starts[firsts], sizes)
    there = np.unique(_rows(whole, index, table).astype(np.int64) * len(firsts) + pair)
    rows, columns = there // len(firsts), there % len(firsts)
    of_piece, of_pair = np.bincount(rows, minlength=table[0]), np.bincount(columns, minlength=len(firsts))
    values = np.log(len(there) / (of_piece[rows].astype(np.float64) * of_pair[columns]))
    kept = values > 0
    entries = (values[kept].astype(np.float32), (rows[kept], columns[kept]))
    return scipy.sparse.csr_matrix(entries, shape=(table[0], len(firsts)))


def _neighbours(pieces: np.ndarray, vocab_size: int) -> list[tuple[Any, np.ndarray]]:
    """Of each distance, after a piece and before it: the information [V, K], and which pieces [K] the columns are."""
    return [block for distance in _DISTANCES for block in _information(pieces, vocab_size, distance)]


def _information(pieces: np.ndarray, vocab_size: int, distance: int) -> list[tuple[Any, np.ndarray]]:
    """[V, at most _MOST_NEIGHBOURS] sparse, of pieces with those `distance` places after them, and with those before;
    beside each the pieces that its columns stand for."""
    first, second = pieces[:-distance].astype(np.int64), pieces[distance:].astype(np.int64)
    pairs, counts = np.unique(first * vocab_size + second, return_counts=True)
    rows, columns = pairs // vocab_size, pairs % vocab_size
    totals = [np.bincount(side, minlength=vocab_size).astype(np.float64) for side in (first, second)]
    least = 2 if len(pieces) > _LARGE else 1
    found = []
    for at, beside, of_at, of_beside in ((rows, columns, *totals), (columns, rows, *totals[::-1])):
        shares = of_beside**_SMOOTHING / (of_beside**_SMOOTHING).sum()
        order = np.argsort(-of_beside, kind="stable")
        rank = np.argsort(order, kind="stable")
        values = np.log(counts / (of_at[at] * shares[beside]))
        kept = (values > 0) & (counts >= least) & (rank[beside] < _MOST_NEIGHBOURS)
        entries = (values[kept].astype(np.float32), (at[kept], rank[beside[kept]]))
        columns_of = order[:_MOST_NEIGHBOURS]
        found.append((scipy.sparse.csr_matrix(entries, shape=(vocab_size, len(columns_of))), columns_of))
    return found
