"""What a pretext task does to a row, as cells to draw: the same for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from afterbert.base.visibility import Visibility
from afterbert.pretext.posed import AskedInPlace, Places, Pointers, Posed, RowLabels, WrittenText


@dataclass(frozen=True)
class Cell:
    """A piece. action: "", mask, random, keep, inserted, changed, moved, special; asked: what the answer
    says here, "" for nothing."""

    text: str
    action: str = ""
    starts_word: bool = False
    asked: str = ""

    @property
    def continues_word(self) -> bool:
        """Whether the word before goes on here (plane word_start)."""
        return not self.starts_word and self.action in ("", "mask", "random", "keep")


@dataclass(frozen=True)
class Picture:
    """One row of a task. before: the text as it stood; shown: what the model reads; written: what a decoder
    has to write (asked: whether a piece is scored); labels: questions about the whole row; may_attend: bool
    [T, T] over the shown pieces."""

    before: tuple[Cell, ...]
    shown: tuple[Cell, ...]
    written: tuple[Cell, ...]
    labels: tuple[str, ...]
    may_attend: np.ndarray


def picture_of(posed: Posed, piece_texts: Sequence[str], *, row: int = 0) -> Picture:
    """Row `row` of a posed batch; piece_texts: [V], each piece for the eye."""
    at = range(int(posed.shown.row_starts[row]), int(posed.shown.row_starts[row + 1]))
    before = range(int(posed.original.row_starts[row]), int(posed.original.row_starts[row + 1]))
    actions, asked = actions_of(posed), _asked_at(posed, piece_texts)
    words = posed.shown.planes.get("word_start", np.zeros(posed.shown.num_pieces, dtype=bool))
    words_before = posed.original.planes.get("word_start", np.zeros(posed.original.num_pieces, dtype=bool))
    return Picture(
        before=tuple(
            Cell(
                piece_texts[posed.original.piece_ids[i]],
                "special" if posed.original.planes["special"][i] else "",
                bool(words_before[i]),
            )
            for i in before
        ),
        shown=tuple(
            Cell(piece_texts[posed.shown.piece_ids[i]], str(actions[i]), bool(words[i]), asked.get(i, ""))
            for i in at
        ),
        written=_written(posed, piece_texts, row),
        labels=tuple(
            f"{a.name} {int(a.labels[row])}"
            for a in posed.asked
            if isinstance(a, RowLabels) and a.labels[row] >= 0
        ),
        may_attend=may_attend(posed.visibility, posed, row),
    )


def actions_of(posed: Posed) -> np.ndarray:
    """str [T shown]: what happened to each shown piece."""
    shown, origin = posed.shown, posed.origin
    before = posed.original.piece_ids[np.maximum(origin, 0)]
    actions = np.where(origin < 0, "inserted", np.where(before != shown.piece_ids, "changed", "")).astype(
        "U8"
    )
    follows = np.diff(origin, prepend=-1) == 1
    follows |= np.isin(np.arange(len(origin)), shown.row_starts[:-1])
    actions[(actions == "") & ~follows & (origin >= 0)] = "moved"
    if all(step.keeps_places for step in posed.steps):
        actions[actions == "moved"] = ""
        hidden = shown.planes.get("hidden", np.zeros(shown.num_pieces, dtype=bool))
        for step in (step for step in posed.steps if step.corruption.hides):
            chosen = step.chosen.positions
            same = shown.piece_ids[chosen] == posed.original.piece_ids[chosen]
            actions[chosen] = np.where(hidden[chosen], "mask", np.where(same, "keep", "random"))
    actions[shown.planes["special"] & (actions != "mask")] = "special"
    return actions


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
            scored = np.ones(asked.target.num_pieces, dtype=bool) if asked.asked is None else asked.asked
            special = asked.target.planes["special"]
            return tuple(
                Cell(
                    piece_texts[asked.target.piece_ids[i]],
                    "special" if special[i] else "",
                    True,
                    "yes" if scored[i] else "",
                )
                for i in at
            )
    return ()


def may_attend(visibility: Visibility, posed: Posed, row: int) -> np.ndarray:
    """bool [T, T]: whether the piece of line i may attend to the piece of column j, for the eye; written
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
