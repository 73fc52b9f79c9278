"""What answers share: which edits hide or remove text, and target texts put together."""

from __future__ import annotations

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.edits import Edit
from afterbert.pretext.posed import Posed, Step, WrittenText


def hides_text(corruption: Corruption) -> bool:
    """Whether the chosen pieces are no longer to be read."""
    return corruption.hides and corruption.effect in ("content", "removal")


def is_marking(corruption: Corruption) -> bool:
    """Whether each span, empty ones too, leaves one piece behind."""
    return corruption.effect == "removal" and corruption.shows_gaps


def the_edit(edits: tuple[Edit, ...], wanted: type[Corruption], answer: str, name: str) -> None:
    """Raises UserError unless exactly one edit has this corruption and all after it leave every piece in its
    place.
    """
    found = [number for number, edit in enumerate(edits) if isinstance(edit.corruption, wanted)]
    if len(found) != 1:
        raise UserError(f"answer {answer} needs exactly one edit with corruption {name}, found {len(found)}")
    if not all(edit.corruption.keeps_places for edit in edits[found[0] + 1 :]):
        raise UserError(f"answer {answer} needs edits after {name} that move no piece; put {name} last")


def the_step(posed: Posed, wanted: type[Corruption]) -> Step:
    """The step with this corruption."""
    return next(step for step in posed.steps if isinstance(step.corruption, wanted))


def end_id(vocabulary: Vocabulary) -> int:
    """The piece that ends a target text: eos, or sep where there is none. Raises UserError without either."""
    return vocabulary.eos if vocabulary.eos is not None else vocabulary.need("sep")


def kept_places(posed: Posed, number: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 [N], bool [chosen]: the original flat positions of what step `number` chose, and which of its
    pieces have one (inserted ones have not).
    """
    places = posed.places_first(number, posed.steps[number].chosen.positions)
    return places[places >= 0], places >= 0


def written(
    original: Rows, row_starts: np.ndarray, ids: np.ndarray, places: np.ndarray, is_special: np.ndarray
) -> WrittenText:
    """A target text with these row starts, of pieces [N] that stood at these flat positions of the original."""
    target = Rows(ids.astype(np.int32), row_starts, original.keys, {"special": is_special})
    return WrittenText(target, places=np.maximum(places - original.row_starts[:-1][target.row_of], 0))


def with_end(text: WrittenText, end: np.ndarray | int) -> WrittenText:
    """The text with one more special piece (one id, or [B]) at the end of each row, standing after the last place."""
    target, places, ends = text.target, text.places, text.target.row_starts[1:]
    assert places is not None
    last = np.where(target.lengths > 0, np.append(places, 0)[ends - 1], -1)
    rows = Rows(
        np.insert(target.piece_ids, ends, end),
        target.row_starts + np.arange(len(target) + 1),
        target.keys,
        {"special": np.insert(target.planes["special"], ends, True)},
    )
    return WrittenText(rows, places=np.insert(places, ends, last + 1))
