"""Held-out sentences that are trained on all the same, because a translation of a running text, or the text of a
translation, went to the other side of the split.

A pair and a document of exactly its text always share a side; a sentence within a longer document has none of its own.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from afterbert.base.noise import mix
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.files.streams import located, shown
from afterbert.text.sources import Source
from afterbert.text.sources.hub import Hub
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.corpus import Corpus, silent
from afterbert.text.token_store.sections import LONG_DOCUMENT_BYTES
from afterbert.text.token_store.store import Split, Store

_KINDS = ("running text", "translations")
# Shorter sentences ("Yes, she said.") stand in many texts.
_LEAST_PIECES = 8
_SHOWN, _EXAMPLES = 60, 3


@dataclass(frozen=True)
class Leak:
    """count of `of` sentences of one kind that are held out stand in what is trained on of another. examples: some,
    with file and line of both places where these were found."""

    held_out: str
    trained: str
    count: int
    of: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.count:,} of {self.of:,} held-out sentences of {self.held_out} stand in the {self.trained} that are "
            "trained on, so figures on them are too good; the first of them: "
        ).replace("running text that are", "running text that is") + ", ".join(self.examples)


class _Sought(NamedTuple):
    """A sentence, the `letters` of its document (of a pair both sides), and the part of the sources that holds it."""

    text: str
    document: str
    part: int


def leaks_of(store: Store, sources: Sequence[Source] = (), policy: Policy | None = None) -> list[Leak]:
    """Returns the leaks of a store that holds translations and knows sentences; empty for any other store. It reads all
    of it once, with 17 bytes of memory for each sentence, and those parts of its sources that hold the examples."""
    train, held = store.split("train"), store.split("held_out")
    if "sentence_start" not in store.planes or not any(len(split.pairs[1]) for split in (train, held)):
        return []
    (trained, of_pairs, begins), (asked, is_pair, begins_held) = _sentences(train), _sentences(held)
    found = []
    for held_out, mine in zip(_KINDS, (~is_pair, is_pair)):
        for kind, theirs in zip(_KINDS, (~of_pairs, of_pairs)):
            leaks = np.flatnonzero(mine & np.isin(asked, trained[theirs]))
            if len(leaks) and "translations" in (held_out, kind):
                some = leaks[np.sort(np.unique(asked[leaks], return_index=True)[1])[:_EXAMPLES]]
                twins = [begins[np.argmax(theirs & (trained == sentence))] for sentence in asked[some]]
                sides = [(_sought(store, held, a), _sought(store, train, b)) for a, b in zip(begins_held[some], twins)]
                found.append((Leak(held_out, kind, len(leaks), int(mine.sum())), sides))
    places: dict[_Sought, str] = {}
    if sources and "parts" in store.manifest["splits"]["train"]:
        corpus = Corpus(tuple(sources), policy or Policy(), held_out=0, processes=1, progress=silent)
        places = _places({one for _, sides in found for pair in sides for one in pair}, corpus)
    return [replace(leak, examples=tuple(_told(*pair, places) for pair in sides)) for leak, sides in found]


def letters(text: str) -> str:
    """Returns a text without all that a tokenizer may change: case, marks, signs, spaces."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKD", text).casefold())


def _places(sought: Set[_Sought], corpus: Corpus) -> dict[_Sought, str]:
    """File and line of each sentence whose document is found again in a file."""
    found: dict[_Sought, str] = {}
    for number in sorted({one.part for one in sought}):
        part, missing = corpus.parts[number], {one for one in sought if one.part == number}
        file = getattr(part.source, "inner", part.source)
        for document in () if isinstance(file, Hub) else part.documents(corpus.policy, Tally()):
            head = letters(document.text[:20])  # most documents are passed over by it; only long ones are cut
            is_near = any(one.document.startswith(head) for one in missing)
            if not is_near and len(document.text) < LONG_DOCUMENT_BYTES // 4:
                continue
            text = letters(document.text)
            for one in [one for one in missing if one.document in text]:
                lines = document.text.split("\n") if isinstance(file, Txt) else []
                at = text.find(one.document) + one.document.find(letters(one.text))
                line_ends, place = accumulate(len(letters(line)) for line in lines), located(document.place)
                line = place.line and place.line + bisect_right([*line_ends], at)
                found[one] = f"{shown(place.path)}:{line}" if line else str(place)
                missing.remove(one)
            if not missing:
                break
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


def _sought(store: Store, split: Split, begin: int) -> _Sought:
    """The sentence that begins there, and what it is found again by."""
    firsts, number = split.pairs[1], int(np.searchsorted(split.document_starts, begin, side="right")) - 1
    first = number - (number - 1 in firsts)
    end = split.sentence_starts[np.searchsorted(split.sentence_starts, begin, side="right")]
    stretches = (begin, end), split.document_starts[[first, first + 1 + (first in firsts)]]
    decode = store.tokenizer.backend.decode
    text, document = (decode(split.pieces(np.arange(*some)).tolist()) for some in stretches)
    part = np.searchsorted(np.cumsum(store.manifest["splits"][split.name].get("parts", [])), first, side="right")
    return _Sought(" ".join(text.split()), letters(document), int(part))


def _told(held_out: _Sought, trained: _Sought, places: Mapping[_Sought, str]) -> str:
    text = held_out.text if len(held_out.text) <= _SHOWN else f"{held_out.text[:_SHOWN]}..."
    found = [words + places[one] for words, one in (("", held_out), ("trained on at ", trained)) if one in places]
    return f"'{text}'" + (f" ({', '.join(found)})" if found else "")
