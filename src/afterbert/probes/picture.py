"""A row of a pretext task as cells to draw, the same for the terminal, the report and a page.

The picture is made from what the task itself records (`Posed.origin`, the steps and their choices). So it accounts for
every piece of the original row exactly once, whatever was moved, removed or hidden, and the text can be put together
again from its cells.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from afterbert.base.visibility import Visibility
from afterbert.pretext.posed import AskedInPlace, Places, Pointers, Posed, RowLabels, WrittenText

#: What can happen to a piece, with the words that a legend has for it.
ACTIONS: Mapping[str, str] = {
    "mask": "hidden",
    "random": "replaced by another piece",
    "keep": "chosen, but kept as it is",
    "inserted": "inserted",
    "moved": "moved",
    "removed": "left out",
}


@dataclass(frozen=True)
class Cell:
    """One piece of a picture."""

    text: str
    #: "" for a piece left alone, "special", or one of `ACTIONS`.
    action: str = ""
    starts_word: bool = False
    #: What the answer says here; "" where nothing is asked.
    asked: str = ""
    #: Which pieces of `Picture.before` it stands for: itself, those that a mark hides, or none.
    places: tuple[int, ...] = ()

    @property
    def is_read(self) -> bool:
        """Whether the model reads this piece; a removed one is drawn where it stood."""
        return self.action != "removed"

    @property
    def continues_word(self) -> bool:
        """Whether the word before goes on here (plane word_start)."""
        return not self.starts_word and self.action in ("", "mask", "random", "keep")


@dataclass(frozen=True)
class Picture:
    """One row of a task."""

    #: The row as the text stood.
    before: tuple[Cell, ...]
    #: What the model reads, with the removed pieces between.
    shown: tuple[Cell, ...]
    #: What a decoder has to write; `asked` is "yes" for a piece that is scored.
    written: tuple[Cell, ...]
    #: Questions about the whole row.
    labels: tuple[str, ...]
    #: bool [T, T] over the pieces that are read: whether line i sees column j.
    may_attend: np.ndarray

    def truth(self, cell: Cell) -> str:
        """Returns the original text that a shown cell stands for."""
        return "".join(self.before[place].text for place in cell.places)

    def cut(self, pieces: int) -> Picture:
        """Returns the beginning of a long row: at most this many cells of each line."""
        shown = self.shown[:pieces]
        read = sum(cell.is_read for cell in shown)
        reach = 1 + max((place for cell in shown for place in cell.places), default=-1)
        return replace(
            self,
            before=self.before[: max(pieces, reach)],
            shown=shown,
            written=self.written[:pieces],
            may_attend=self.may_attend[:read, :read],
        )

    def plain(self) -> dict[str, Any]:
        """Returns the picture as JSON holds it; `sight` has a line of 0 and 1 for each piece read."""
        return {
            "before": [_plain(cell) for cell in self.before],
            "shown": [_plain(cell) for cell in self.shown],
            "written": [_plain(cell) for cell in self.written],
            "labels": list(self.labels),
            "sight": ["".join(map(str, line)) for line in self.may_attend.astype(int).tolist()],
        }


def pictures_of(posed: Posed, piece_texts: Sequence[str], *, count: int = 1) -> list[Picture]:
    """Returns the first `count` rows of a posed batch as pictures; piece_texts: [V], each piece in readable form."""
    actions, stands_for = _actions(posed), _stands_for(posed)
    asked = _asked_at(posed, piece_texts)
    found = []
    for row in range(min(count, len(posed.shown))):
        start = int(posed.original.row_starts[row])
        before = tuple(_before(posed, piece_texts, row))
        at = range(int(posed.shown.row_starts[row]), int(posed.shown.row_starts[row + 1]))
        words = posed.shown.planes.get("word_start", np.zeros(posed.shown.num_pieces, dtype=bool))
        shown = [
            Cell(
                piece_texts[posed.shown.piece_ids[i]],
                str(actions[i]),
                bool(words[i]),
                asked.get(i, ""),
                tuple(place - start for place in stands_for[i]),
            )
            for i in at
        ]
        found.append(
            Picture(
                before=before,
                shown=tuple(_with_removed(shown, before)),
                written=_written(posed, piece_texts, row),
                labels=tuple(
                    f"{a.name} {int(a.labels[row])}"
                    for a in posed.asked
                    if isinstance(a, RowLabels) and a.labels[row] >= 0
                ),
                may_attend=may_attend(posed.visibility, posed, row),
            )
        )
    return found


def _plain(cell: Cell) -> dict[str, Any]:
    return {name: value for name, value in vars(cell).items() if value or name == "text"}


def _before(posed: Posed, piece_texts: Sequence[str], row: int) -> list[Cell]:
    rows = posed.original
    words = rows.planes.get("word_start", np.zeros(rows.num_pieces, dtype=bool))
    return [
        Cell(piece_texts[rows.piece_ids[i]], "special" if rows.planes["special"][i] else "", bool(words[i]))
        for i in range(int(rows.row_starts[row]), int(rows.row_starts[row + 1]))
    ]


def _with_removed(shown: Sequence[Cell], before: Sequence[Cell]) -> list[Cell]:
    """The shown cells, and behind whatever stands for the piece before it each piece that nothing stands for."""
    holder = {place: number for number, cell in enumerate(shown) for place in cell.places}
    behind: dict[int, list[Cell]] = {}
    for place, cell in enumerate(before):
        if place not in holder:
            holder[place] = holder.get(place - 1, -1)
            gone = replace(cell, action="removed", places=(place,))
            behind.setdefault(holder[place], []).append(gone)
    found = behind.get(-1, [])
    for number, cell in enumerate(shown):
        found += [cell, *behind.get(number, [])]
    return found


def _actions(posed: Posed) -> np.ndarray:
    """str [T shown]: what happened to each shown piece."""
    shown, origin = posed.shown, posed.origin
    special = shown.planes["special"]
    hidden = shown.planes.get("hidden", np.zeros(shown.num_pieces, dtype=bool))
    actions = np.where(origin >= 0, "", np.where(hidden, "mask", "inserted")).astype("U8")
    if not all(step.keeps_places for step in posed.steps):
        for start, end in zip(posed.shown.row_starts[:-1], posed.shown.row_starts[1:]):
            stay = np.flatnonzero((origin[start:end] >= 0) & ~special[start:end]) + start
            actions[stay[~_in_order(origin[stay])]] = "moved"
    for number, step in enumerate(posed.steps):
        if step.corruption.effect == "content":
            now = posed.places_now(number, step.chosen.positions)
            now = now[now >= 0]
            same = shown.piece_ids[now] == posed.original.piece_ids[np.maximum(origin[now], 0)]
            actions[now] = np.where(hidden[now], "mask", np.where(same & (origin[now] >= 0), "keep", "random"))
    actions[special & (actions != "mask")] = "special"
    return actions


def _in_order(places: np.ndarray) -> np.ndarray:
    """bool [N]: a longest choice of these distinct places that rises; the others are what was moved.

    >>> _in_order(np.array([3, 4, 5, 0, 1])).tolist()
    [True, True, True, False, False]
    """
    ends: list[int] = []
    holders: list[int] = []
    previous = np.full(len(places), -1)
    for number, place in enumerate(places.tolist()):
        size = bisect_left(ends, place)
        previous[number] = holders[size - 1] if size else -1
        ends[size : size + 1] = [place]
        holders[size : size + 1] = [number]
    stays = np.zeros(len(places), dtype=bool)
    at = holders[-1] if holders else -1
    while at >= 0:
        stays[at] = True
        at = int(previous[at])
    return stays


def _stands_for(posed: Posed) -> list[tuple[int, ...]]:
    """For each shown piece the flat original positions that it stands for, in their order."""
    found: list[tuple[int, ...]] = [(int(place),) if place >= 0 else () for place in posed.origin]
    for number, step in enumerate(posed.steps):
        if step.corruption.shows_gaps:
            now = posed.places_now(number + 1, np.flatnonzero(step.origin < 0))  # the pieces that it put there
            for place, span in zip(now, _spans(posed, number)):
                if place >= 0:
                    found[place] = span
    return found


def _spans(posed: Posed, number: int) -> list[tuple[int, ...]]:
    """For each mark of a step the original positions of its span; none for an empty span."""
    chosen = posed.steps[number].chosen
    first = posed.places_first(number, chosen.positions)
    full = iter(np.split(first, chosen.begins[1:]) if len(first) else ())
    return [
        () if is_gap else tuple(sorted(int(place) for place in next(full) if place >= 0))
        for is_gap in chosen.marks.is_gap
    ]


def _asked_at(posed: Posed, piece_texts: Sequence[str]) -> dict[int, str]:
    """Shown position -> what is asked there, in words."""
    found: dict[int, list[str]] = {}
    for asked in posed.asked:
        if isinstance(asked, AskedInPlace):
            for at, target in zip(asked.positions, asked.target_ids):
                found.setdefault(int(at), []).append(piece_texts[target].strip() or piece_texts[target])
        elif isinstance(asked, Places):
            for at, label in zip(asked.positions, asked.labels):
                found.setdefault(int(at), []).append(f"{asked.name}!" if label else "·")
        elif isinstance(asked, Pointers):
            for at, target in zip(asked.positions, asked.targets):
                found.setdefault(int(at), []).append(f"→{int(posed.shown.position_in_row[target])}")
    return {at: " ".join(words) for at, words in found.items()}


def _written(posed: Posed, piece_texts: Sequence[str], row: int) -> tuple[Cell, ...]:
    for asked in posed.asked:
        if isinstance(asked, WrittenText):
            at = range(int(asked.target.row_starts[row]), int(asked.target.row_starts[row + 1]))
            special = asked.target.planes["special"]
            return tuple(
                Cell(piece_texts[asked.target.piece_ids[i]], "special" if special[i] else "", True, "yes") for i in at
            )
    return ()


def may_attend(visibility: Visibility, posed: Posed, row: int) -> np.ndarray:
    """Returns whether the piece of line i may attend to the piece of column j, bool [T, T], for pictures. It is written
    from the definition, apart from what the models use."""
    start, end = int(posed.shown.row_starts[row]), int(posed.shown.row_starts[row + 1])
    i, j = np.ogrid[: end - start, : end - start]
    kind = visibility.kind if isinstance(visibility.kind, str) else visibility.kind[row]
    seen = np.ones((end - start, end - start), dtype=bool)
    if kind == "causal":
        seen = j <= i
    elif kind == "reverse":
        seen = j >= i
    elif kind == "prefix":
        assert visibility.prefix_lengths is not None
        seen = (j < visibility.prefix_lengths[row]) | (j <= i)
    elif kind == "permutation":
        assert visibility.rank is not None
        rank = visibility.rank[start:end]
        seen = rank[None, :] <= rank[:, None]
    if visibility.documents is not None:
        documents = visibility.documents[start:end]
        seen = seen & (documents[None, :] == documents[:, None])
    return seen
