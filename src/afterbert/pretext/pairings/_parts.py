"""Rows put together from parts: runs of the store's text with special pieces around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import xxhash

from afterbert.base.noise import mix
from afterbert.base.rows import Planes, Rows, ranges, starts_of
from afterbert.text.store import Split

NONE = -1  # no special piece here


@dataclass(frozen=True)
class Parts:
    """P parts of B rows, in order; all int64 [P].

    row_of: rising; starts, lengths: the run of text in the store; before, after, last: ids of the special
    pieces that open the part, close it, and follow that; segment: 0 or 1; document: number of the document
    within the row.
    """

    row_of: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    before: np.ndarray
    after: np.ndarray
    last: np.ndarray
    segment: np.ndarray
    document: np.ndarray


def row_keys(split: Split, numbers: np.ndarray) -> np.ndarray:
    """uint64 [B]: stable names of these rows, different from store to store."""
    store = np.uint64(xxhash.xxh3_64_intdigest(split.fingerprint.encode()))
    return mix(np.asarray(numbers).astype(np.uint64) ^ store)


def assemble(split: Split, parts: Parts, keys: np.ndarray) -> Rows:
    """The rows with these parts: ids and planes from the store, special pieces between them, which carry no
    plane but their own.
    """
    specials = np.stack([parts.before, parts.after, parts.last])
    has_special = specials != NONE
    sizes = parts.lengths + has_special.sum(axis=0)
    offsets = starts_of(sizes)
    begins, total = offsets[:-1], int(offsets[-1])
    text_begins = begins + has_special[0]
    into, source = ranges(text_begins, parts.lengths), ranges(parts.starts, parts.lengths)
    ids = np.empty(total, dtype=np.int32)
    is_special = np.ones(total, dtype=bool)
    ids[into] = split.pieces(source)
    is_special[into] = False
    after_text = text_begins + parts.lengths
    for places, wanted, there in zip(
        (begins, after_text, after_text + has_special[1]), specials, has_special
    ):
        ids[places[there]] = wanted[there]
    planes: dict[str, np.ndarray | Callable[[], np.ndarray]] = {
        "special": is_special,
        "segment": np.repeat(parts.segment.astype(np.uint8), sizes),
        "document": np.repeat(parts.document.astype(np.int32), sizes),
    }
    for name in split.plane_names:
        planes[name] = partial(_laid_out, split, name, source, into, total)
    row_starts = np.append(begins, total)[np.searchsorted(parts.row_of, np.arange(len(keys) + 1))]
    return Rows(ids, row_starts, keys, Planes(planes))


def _laid_out(split: Split, name: str, source: np.ndarray, into: np.ndarray, total: int) -> np.ndarray:
    """A plane of the store for `total` pieces: the values at `source` come to stand at `into`, zeros elsewhere."""
    values = split.plane(name, source)
    plane = np.zeros(total, dtype=values.dtype)
    plane[into] = values
    return plane
