"""Held-out sentences that are trained on all the same, because a translation of a running text, or the text of a
translation, went to the other side of the split.

A pair and a document of exactly its text always share a side; a sentence within a longer document has none of its own.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import mix
from afterbert.text.token_store.store import Split, Store

_KINDS = ("running text", "translations")
# Shorter sentences ("Yes, she said.") stand in many texts.
_LEAST_PIECES = 8
_SHOWN = 60


@dataclass(frozen=True)
class Leak:
    """count of `of` sentences of one kind that are held out stand in what is trained on of another; first: one."""

    held_out: str
    trained: str
    count: int
    of: int
    first: str

    def __str__(self) -> str:
        return (
            f"{self.count:,} of {self.of:,} held-out sentences of {self.held_out} stand in the {self.trained} that are "
            f"trained on, so figures on them are too good; one is '{self.first}'"
        ).replace("running text that are", "running text that is")


def leaks_of(store: Store) -> list[Leak]:
    """Returns the leaks of a store that holds translations and knows sentences; empty for any other store. It reads all
    of it once, with 9 bytes of memory for each sentence."""
    knows = "sentence_start" in store.planes
    if not knows or not any(len(store.split(name).pairs[1]) for name in ("train", "held_out")):
        return []
    (trained, of_pairs, _), (asked, is_pair, begins) = (_sentences(store.split(one)) for one in ("train", "held_out"))
    found = []
    for held_out, mine in zip(_KINDS, (~is_pair, is_pair)):
        for kind, theirs in zip(_KINDS, (~of_pairs, of_pairs)):
            leaks = mine & np.isin(asked, trained[theirs])
            if leaks.any() and "translations" in (held_out, kind):
                first = _text(store, begins[leaks][0])
                found.append(Leak(held_out, kind, int(leaks.sum()), int(mine.sum()), first))
    return found


def _sentences(split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each sentence that is long enough: a hash, uint64 [S], of all pieces but the first, which may hold the space
    before; whether it is of a pair, bool [S]; and where it begins."""
    starts = split.sentence_starts
    document = np.searchsorted(split.document_starts, starts[:-1], side="right") - 1
    firsts = split.pairs[1]
    hashes, block = np.zeros(len(starts) - 1, dtype=np.uint64), 1 << 16
    for first in range(0, len(hashes), block):
        here = starts[first : first + block + 1]
        index = np.arange(here[0], here[-1])
        place = (index - np.repeat(here[:-1], np.diff(here))).astype(np.uint64)
        signs = mix(split.pieces(index).astype(np.uint64) | place << np.uint64(32))
        signs[place == 0] = 0
        hashes[first : first + block] = np.add.reduceat(signs, here[:-1] - here[0])
    is_long = np.diff(starts) > _LEAST_PIECES
    is_pair = np.isin(document, np.concatenate([firsts, firsts + 1]))
    return hashes[is_long], is_pair[is_long], starts[:-1][is_long]


def _text(store: Store, begin: int) -> str:
    """The beginning of the held-out sentence that begins there."""
    split = store.split("held_out")
    end = split.sentence_starts[np.searchsorted(split.sentence_starts, begin, side="right")]
    text = " ".join(store.tokenizer.backend.decode(split.pieces(np.arange(begin, end)).tolist()).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
