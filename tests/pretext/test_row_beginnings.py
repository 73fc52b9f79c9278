"""Where rows begin that are cut one behind the other: side by side for all documents, and as a loop finds it."""

from itertools import pairwise

import numpy as np
import pytest

from afterbert.pretext.pairings import _sentences
from afterbert.pretext.pairings._sentences import ends_of, walk


def sentences(seed: int, num_documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts of sentences int64 [S+1], and each document's first sentence [D+1]; some documents have none."""
    draws = np.random.default_rng(seed)
    counts = draws.integers(0, 6, num_documents) * draws.integers(0, 20, num_documents)
    of_document = np.append(0, np.cumsum(counts))
    return np.append(0, np.cumsum(draws.integers(1, 9, of_document[-1]))), of_document


def by_loop(starts: np.ndarray, of_document: np.ndarray, pieces: int) -> list[int]:
    found = []
    for at, last in pairwise(of_document):
        while at < last:
            found.append(int(at))
            end = at + 1
            while end < last and starts[end] - starts[at] < pieces:
                end += 1
            at = end
    return found


@pytest.mark.parametrize("side_by_side", [1, 3, 50, 10**6])  # all, most, few and none of the way
@pytest.mark.parametrize("pieces", [1, 7, 40, 10**6])
def test_a_walk_is_what_a_loop_finds(monkeypatch, side_by_side, pieces):
    monkeypatch.setattr(_sentences, "_SIDE_BY_SIDE", side_by_side)
    starts, of_document = sentences(seed=pieces, num_documents=60)
    found = walk(of_document, lambda at, last: ends_of(starts, at, np.full(len(at), pieces), last))
    assert found.tolist() == by_loop(starts, of_document, pieces)


def test_a_walk_asks_where_rows_begin_and_nowhere_else():
    starts, of_document = sentences(seed=1, num_documents=5_000)
    asked = []

    def following(at, last):
        asked.append(len(at))
        return ends_of(starts, at, np.full(len(at), 60), last)

    found = walk(of_document, following)
    assert len(found) < len(starts) / 5
    assert sum(asked) < len(starts) / 2


def test_no_documents_and_documents_without_sentences():
    nowhere = walk(np.array([0]), lambda at, last: at)
    empty = walk(np.array([0, 0, 0]), lambda at, last: at)
    assert nowhere.tolist() == empty.tolist() == []
