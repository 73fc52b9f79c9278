"""Rows put together from parts: runs of the store's text with special pieces around them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import xxhash

from afterbert.base.noise import mix
from afterbert.base.rows import Planes, Rows, flags_at, ranges, starts_of
from afterbert.text.token_store.store import Split

NONE = -1  # no special piece here


@dataclass(frozen=True)
class Parts:
    """P parts of B rows, in order; all int64 [P], the last five also one number for all parts.

    row_of: rising; starts, lengths: the run of text in the store; before, after, last: ids of the special pieces that
    open the part, close it, and follow that; segment: 0 or 1; document: number of the document within the row.
    """

    row_of: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    before: np.ndarray | int = NONE
    after: np.ndarray | int = NONE
    last: np.ndarray | int = NONE
    segment: np.ndarray | int = 0
    document: np.ndarray | int = 0


def row_keys(split: Split, numbers: np.ndarray) -> np.ndarray:
    """Returns the keys of these rows, uint64 [B]: stable, and different from store to store."""
    store = np.uint64(xxhash.xxh3_64_intdigest(split.fingerprint.encode()))
    return mix(np.asarray(numbers).astype(np.uint64) ^ store)


def assemble(split: Split, parts: Parts, keys: np.ndarray) -> Rows:
    """Returns the rows with these parts: ids and planes from the store, with special pieces between them, which carry
    no plane but their own."""
    *ids_around, segment, document, _ = np.broadcast_arrays(
        parts.before, parts.after, parts.last, parts.segment, parts.document, parts.lengths
    )
    specials = np.stack(ids_around)
    has_special = specials != NONE
    sizes = parts.lengths + has_special.sum(axis=0)
    offsets = starts_of(sizes)
    begins, total = offsets[:-1], int(offsets[-1])
    after_text = begins + has_special[0] + parts.lengths
    where = np.stack([begins, after_text, after_text + has_special[1]])[has_special]
    is_special = flags_at(where, total)
    is_text, source = ~is_special, ranges(parts.starts, parts.lengths)
    ids = np.empty(total, dtype=np.int32)
    ids[is_text] = split.pieces(source)
    ids[where] = specials[has_special]
    planes: dict[str, np.ndarray | Callable[[], np.ndarray]] = {
        "special": is_special,
        "segment": partial(np.repeat, segment.astype(np.uint8), sizes),
        "document": partial(np.repeat, document.astype(np.int32), sizes),
        "count": partial(_counts, split, ids, is_special),
    }
    if split.told_languages is not None:
        planes["language"] = partial(_languages, split, parts, sizes)
    for name, width in split.plane_widths.items():
        plane = partial(_laid_out, split, name, source, is_text)
        planes |= {name: plane} if width == 1 else _taken_apart(name, cache(plane))
    row_starts = np.append(begins, total)[np.searchsorted(parts.row_of, np.arange(len(keys) + 1))]
    return Rows(ids, row_starts, keys, Planes(planes))


def _counts(split: Split, ids: np.ndarray, is_special: np.ndarray) -> np.ndarray:
    """How often each piece [T] occurs in the split; 0 for special ones, which stand in none."""
    return np.where(is_special, 0, split.piece_counts[np.where(is_special, 0, ids)])


def _laid_out(split: Split, name: str, source: np.ndarray, is_text: np.ndarray) -> np.ndarray:
    """A plane of the store: its values at `source` stand where `is_text` [T], zeros elsewhere."""
    values = split.plane(name, source)
    plane = np.zeros(len(is_text), dtype=values.dtype)
    plane[is_text] = values
    return plane


def _languages(split: Split, parts: Parts, sizes: np.ndarray) -> np.ndarray:
    """The language of each piece; a special piece has that of the part it stands at."""
    # a part without text ends where its document does
    within = np.maximum(parts.starts - (parts.lengths == 0), 0)
    return np.repeat(split.language_at(within), sizes)


def _taken_apart(name: str, plane: Callable[[], np.ndarray]) -> dict[str, Callable[[], np.ndarray]]:
    """A plane of units that do not cover the text: the first piece of each, all its pieces (bool), and the code
    of its type (uint8)."""
    return {
        f"{name}_start": lambda: plane() & 1 > 0,
        f"{name}_inside": lambda: plane() & 2 > 0,
        f"{name}_type": lambda: plane() >> 2,
    }
