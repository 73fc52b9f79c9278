"""Near duplicates: documents that share most of their runs of five words, of which the longest is kept.

Source: MinHash, Broder 1997 ("On the resemblance and containment of documents"); runs of five words as in Lee et al.
2022 (2107.06499), Section 4.2. The sketches are made by rensa (extra `dedup`). Which of several is kept follows from
contents alone: the longest, then the one with the smallest hash.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from afterbert.base.extras import from_extra
from afterbert.text.pieces.characters import words
from afterbert.text.token_store.sections import Contents

NEAR_DUPLICATE = "near duplicate"
PERMUTATIONS = 128
_SEED = 1
_RUN = 5
# A word longer than this is text without spaces, of which each character is taken for a word.
_LONGEST_WORD = 20
_SURE = 0.98


def sketches_of(texts: Sequence[str]) -> np.ndarray:
    """Returns a sketch of each text, uint32 [N, 128]. The share of places in which two sketches agree is about the
    share of common runs among all runs of the two texts. Raises UserError if rensa is not installed."""
    found = from_extra("rensa", "dedup", needed_by="looking for near duplicates").RMinHash.digests_from_token_sets(
        [_runs(text) for text in texts], PERMUTATIONS, _SEED
    )
    return np.array(found, dtype=np.uint32).reshape(len(texts), PERMUTATIONS)


def near_duplicates(contents: Contents, sketches: np.ndarray, likeness: float) -> np.ndarray:
    """Returns the documents that share at least this much with one that is kept, bool [D]. sketches: uint32 [D, 128].

    >>> from afterbert.text.token_store.sections import Contents
    >>> contents = Contents.of([b"some text", b"some texts", b"another"])
    >>> sketches = np.repeat(np.arange(3, dtype=np.uint32)[:, None], PERMUTATIONS, axis=1)
    >>> sketches[0, :120] = 1
    >>> near_duplicates(contents, sketches, 0.8).tolist()
    [True, False, False]
    """
    found = np.zeros(len(contents.hashes), dtype=bool)
    first = np.unique(contents.hashes, return_index=True)[1]
    sizes = np.add.reduceat(contents.sizes.astype(np.int64), np.cumsum(contents.counts) - contents.counts)
    order = first[np.lexsort((contents.hashes[first], -sizes[first]))]
    rows = _rows_of_band(likeness)
    bands = np.ascontiguousarray(sketches).reshape(len(sketches), -1, rows)
    buckets: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(bands.shape[1])]
    for number in order.tolist():
        keys = [band.tobytes() for band in bands[number]]
        near = {other for bucket, key in zip(buckets, keys) for other in bucket.get(key, ())}
        others = sketches[list(near)]
        if len(near) and ((others == sketches[number]).mean(axis=1) >= likeness).any():
            found[number] = True
            continue
        for bucket, key in zip(buckets, keys):
            bucket[key].append(number)
    return found


def _runs(text: str) -> list[str]:
    found: list[str] = []
    for word in words().findall(text.lower()):
        found += word if len(word) > _LONGEST_WORD else [word]
    return [" ".join(found[at : at + _RUN]) for at in range(max(1, len(found) - _RUN + 1))]


def _rows_of_band(likeness: float) -> int:
    """How many places of a sketch must agree for two documents to be compared: as many as may be, while a pair that is
    just alike enough is compared all but surely.

    >>> _rows_of_band(0.5), _rows_of_band(0.8), _rows_of_band(0.95)
    (2, 4, 16)
    """
    sizes = (2, 4, 8, 16)
    sure = [rows for rows in sizes if 1 - (1 - likeness**rows) ** (PERMUTATIONS // rows) >= _SURE]
    return max(sure, default=1)
