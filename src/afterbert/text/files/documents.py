"""A document, and the tally of what was read, kept, dropped and repaired on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from afterbert.base.errors import UserError
from afterbert.text.files.streams import Place, located, shown

#: stands between the two sides of a pair in a document's text, and between their languages ("en+is") LANGUAGES does;
#: no other text holds it, since control characters are made spaces
PAIR = "\x1e"
LANGUAGES = "+"


class Document(NamedTuple):
    """One text. `id` says where it came from: `file@offset` (unpacked bytes; rows for Parquet), or the
    file's own id. piece_ids: int32, little-endian, where its pieces are there already. place: where it begins."""

    id: str
    text: str
    language: str | None = None
    piece_ids: bytes | None = None
    place: Place = Place("", 0)


Counts = Counter[str]
EMPTY = "empty"
_UNNAMED = "no extension"


@dataclass
class Tally:
    """The account of everything that was read. Tallies of parts add up to the tally of the whole, whatever the parts.

    documents: found in the files; pieces: how many more there are after long ones were cut; kept: given on, so that
    documents + pieces == kept + sum(dropped). The counts go by reason: dropped (documents), repaired and noticed
    (characters, unless the reason says otherwise). passed_over: files by extension or reason. places: the first place
    of a reason.
    """

    files: Counts = field(default_factory=Counter)
    bytes: int = 0
    documents: int = 0
    pieces: int = 0
    kept: int = 0
    dropped: Counts = field(default_factory=Counter)
    repaired: Counts = field(default_factory=Counter)
    noticed: Counts = field(default_factory=Counter)
    passed_over: Counts = field(default_factory=Counter)
    places: dict[str, Place] = field(default_factory=dict)

    def drop(self, reason: str, place: Place) -> None:
        """Counts a document that is dropped."""
        self.dropped[reason] += 1
        self.places.setdefault(reason, place)

    def repair(self, reason: str, place: Place, count: int = 1) -> None:
        """Counts text that was changed."""
        self.repaired[reason] += count
        self.places.setdefault(reason, place)

    def notice(self, reason: str, place: Place, count: int = 1) -> None:
        """Counts text that is odd, but kept unchanged."""
        self.noticed[reason] += count
        self.places.setdefault(reason, place)

    @property
    def dropped_share(self) -> float:
        """Dropped documents (or pieces) among all; an empty one loses nothing and is not counted."""
        return sum(count for why, count in self.dropped.items() if why != EMPTY) / max(1, self.documents + self.pieces)

    def __add__(self, other: Tally) -> Tally:
        """
        >>> one = Tally(files=Counter({".txt": 1}), documents=3, kept=2)
        >>> both = one + Tally(files=Counter({".txt": 2}), documents=1, kept=1)
        >>> both.files, both.documents, both.kept
        (Counter({'.txt': 3}), 4, 3)
        """
        added = {name: value + getattr(other, name) for name, value in vars(self).items() if name != "places"}
        return Tally(**added, places=other.places | self.places)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Tally:
        """Reads back what `json.dumps(vars(tally))` wrote.

        >>> import json
        >>> tally = Tally(documents=1, dropped=Counter(empty=1), places={"empty": Place("a.txt", 0)})
        >>> Tally.from_json(json.loads(json.dumps(vars(tally)))) == tally
        True
        """
        places = {reason: Place(*place) for reason, place in saved["places"].items()}
        counts = {name: Counter(value) for name, value in saved.items() if isinstance(value, dict)}
        return cls(**{**saved, **counts, "places": places})

    def table(self, more: Sequence[tuple[str, int, str]] = ()) -> str:
        """Returns the closing table as plain text. The lines of places are counted here, by reading their files up to
        there. more: further rows of label, count and remark.

        >>> print(Tally(Counter({".txt": 2}), 1_500_000, documents=40, kept=39, dropped=Counter(empty=1)).table())
        files read                 2  .txt 2
        bytes read         1,500,000
        documents found           40
          dropped: empty           1
        documents kept            39
        """
        kinds = ", ".join(f"{shown(kind)} {count:,}" for kind, count in sorted(self.files.items()))
        rows = [
            ("files read", sum(self.files.values()), kinds),
            *(
                (f"  passed over: {shown(why)}", count, "--kind txt or jsonl reads them" if why == _UNNAMED else "")
                for why, count in sorted(self.passed_over.items())
            ),
            ("bytes read", self.bytes, ""),
            ("documents found", self.documents, ""),
            *([("  more after cutting long ones", self.pieces, "")] if self.pieces else []),
            *self._reasons("dropped", self.dropped),
            ("documents kept", self.kept, ""),
            *self._reasons("repaired", self.repaired),
            *self._reasons("kept, noticed", self.noticed),
            *more,
        ]
        width = max(len(label) for label, _, _ in rows)
        return "\n".join(f"{label:<{width}} {count:>11,}  {remark}".rstrip() for label, count, remark in rows)

    def _reasons(self, heading: str, counts: Counts) -> list[tuple[str, int, str]]:
        return [(f"  {heading}: {why}", count, self._first(why)) for why, count in sorted(counts.items())]

    def _first(self, why: str) -> str:
        if why not in self.places:
            return ""
        try:
            return f"first {located(self.places[why])}"
        except UserError:  # The file is gone or another; what was counted stands.
            return f"first {self.places[why]}"
