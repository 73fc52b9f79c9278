"""Units named by a list: what phrases and entities have in common."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.rows import ranges
from afterbert.base.small_files import read_bytes, read_text
from afterbert.text.pieces.characters import before_space
from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes import Plane
from afterbert.text.planes._matching import Matcher
from afterbert.text.planes._words import text_of, words_of
from afterbert.text.planes.word_start import CHARACTERS, WordStart

Case = Literal["ignored", "kept"]

_MOST_WORDS = 30
_MOST_TYPES = 63
_START, _INSIDE, _TYPE_SHIFT = 1, 2, 2


class _Compiled(NamedTuple):
    matcher: Matcher
    types: tuple[str, ...]
    digest: str
    entries: int


@dataclass(frozen=True)
class ListedUnits(Plane):
    """Every place where a phrase of a list stands in the text: whole words, at each place the longest that fits, from
    left to right; never over an empty line. White space between words does not matter."""

    file: str
    """A list with one phrase on each line, or a table with types in the second column."""
    case: Case = "ignored"
    """`ignored` takes `Us` for `us`."""
    chinese: Literal["jieba", "characters"] | None = None
    """Whether a phrase begins and ends with jieba's words or with any character, as in word_start."""
    types: tuple[str, ...] | None = None
    """The types in the order of their codes, from 1; sorted when not given."""
    digest: str | None = None
    """The list's sha256; when given, the list must have it."""
    entries: int | None = None
    """How many entries the list has, for the record."""

    def __post_init__(self) -> None:
        if self.digest is None:
            self._compiled  # noqa: B018 - a mistake in the list shows here, not in a worker

    @property
    def width(self) -> int:  # type: ignore[override]  # here it follows from the list
        """2 bits without types, 4 with up to three of them, else 8."""
        number = len(self._compiled.types)
        return 8 if number > 3 else 4 if number else 2

    def settled(self) -> ListedUnits:
        """Returns the plane with what was found in the list, and with how Chinese is read. Of the file it keeps only
        the name: where it lay means nothing to others."""
        chinese = WordStart(chinese=self.chinese).settled().chinese
        if self.digest is not None and self.types is not None:
            return replace(self, chinese=chinese)
        found = self._compiled
        return replace(
            self,
            file=Path(self.file).name,
            chinese=chinese,
            types=found.types,
            digest=found.digest,
            entries=found.entries,
        )

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        words = words_of(encoded, replace(CHARACTERS, chinese=self.chinese), keeps_case=self.case == "kept")
        values = np.zeros(len(encoded.piece_ids), dtype=np.uint8)
        found = self._compiled.matcher(words)
        if not len(found.first):
            return values
        moved = before_space(words.is_start, encoded.kinds, encoded.text_starts)
        seen = encoded.starts_seen(moved)
        text_end = encoded.piece_starts[text_of(encoded, words.starts[found.first]) + 1]
        begins = np.minimum(np.searchsorted(seen, found.first, side="right"), text_end)
        ends = np.minimum(np.searchsorted(seen, found.first + found.lengths, side="right"), text_end)
        # A phrase without a piece of its own (all in one with the next word) is none.
        lengths = ends - begins
        values[ranges(begins, lengths)] = np.repeat(found.codes, lengths)
        values[begins[lengths > 0]] |= _START
        return values

    @cached_property
    def _compiled(self) -> _Compiled:
        found = read_list(Path(self.file))
        if self.digest is not None and found.digest != self.digest:
            raise UserError(
                f"{self.file} has the digest {found.digest[:12]}, wanted is {self.digest[:12]}; it was changed, take "
                "the list as it was or leave `digest` out"
            )
        types = self._types(found)
        entries = EncodedTexts.without_pieces(found.texts)
        words = words_of(entries, CHARACTERS, keeps_case=self.case == "kept")
        counts = np.bincount(text_of(entries, words.starts), minlength=len(found.texts))
        if counts.max() > _MOST_WORDS:
            text, count = found.texts[int(counts.argmax())], counts.max()
            raise UserError(
                f"{self.file}: '{text[:40]}...' has {count} words, a phrase may have {_MOST_WORDS}; is this a list "
                "of phrases, one a line?"
            )
        number_of = {"": 0} | {name: number for number, name in enumerate(types, start=1)}
        numbers = np.array([number_of[name] for name in found.types], dtype=np.uint8)
        codes = numbers << np.uint8(_TYPE_SHIFT) | np.uint8(_INSIDE)
        is_phrase = counts > 0
        matcher = Matcher(words.hashes, counts[is_phrase], codes[is_phrase])
        return _Compiled(matcher, types, found.digest, len(found.texts))

    def _types(self, found: PhraseList) -> tuple[str, ...]:
        in_list = sorted({name for name in found.types if name})
        types = tuple(in_list) if self.types is None else self.types
        if len(types) > _MOST_TYPES:
            raise UserError(
                f"{self.file} has {len(types)} types ({', '.join(types[:3])}, ...), at most {_MOST_TYPES} "
                "are possible; write fewer in its second column"
            )
        for name in in_list:
            if name not in types:
                raise UserError(f"{self.file} has the type '{name}'; {did_you_mean(name, list(types))}")
        return types


@dataclass(frozen=True)
class PhraseList:
    """Different texts in NFC, in the order of the file, and their types (an empty one where none is given).
    digest: sha256 of the file."""

    texts: tuple[str, ...]
    types: tuple[str, ...]
    digest: str


def read_list(path: Path) -> PhraseList:
    """Returns the list in a file: UTF-8 with one phrase on each line; a tab and a type may follow, and after another
    tab anything.

    A first line that begins `text<TAB>type` is a heading. A text that is given several types, as a chunker
    does that tags every occurrence, has the most frequent one. Raises UserError.
    """
    raw = read_bytes(path, remedy="name a list of phrases")
    written = read_text(path)
    found: dict[str, Counter[str]] = {}
    for text, kind in _entries(written, path):
        found.setdefault(text, Counter())[kind] += 1
    if not found:
        raise UserError(f"{path} holds no phrases; write one a line")
    types = (max(kinds, key=lambda kind: kinds[kind]) for kinds in found.values())
    return PhraseList(tuple(found), tuple(types), hashlib.sha256(raw).hexdigest())


def _entries(written: str, path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(written.replace("\r\n", "\n").split("\n"), start=1):
        text, kind = (cell.strip() for cell in f"{line}\t\t".split("\t")[:2])
        if number == 1 and (text, kind) == ("text", "type"):
            continue
        if text:
            yield unicodedata.normalize("NFC", text), kind
        elif kind:
            raise UserError(f"{path}:{number} has a type and no text; write the phrase before the tab")
