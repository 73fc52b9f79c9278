"""What answers share: which edits hide or remove text, and target texts put together."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.rows import Rows, flags_at
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.posed import Posed, Step, WrittenText


def hides_text(corruption: Corruption) -> bool:
    """Returns whether the chosen pieces can no longer be read."""
    return corruption.hides and corruption.effect in ("content", "removal")


def is_marking(corruption: Corruption) -> bool:
    """Returns whether each span, even an empty one, leaves one piece."""
    return corruption.effect == "removal" and corruption.shows_gaps


class AboutOneEdit(Answer):
    """A question about the only edit that has this kind of corruption; all after it leave every piece in its place."""

    corruption: ClassVar[type[Corruption]]

    def check(self, terms: Terms) -> None:
        answer, name, edits = name_of(self), name_of(self.corruption), terms.edits
        found = [number for number, edit in enumerate(edits) if isinstance(edit.corruption, self.corruption)]
        if len(found) != 1:
            raise UserError(f"answer {answer} needs exactly one edit with corruption {name}, found {len(found)}")
        if not all(edit.corruption.keeps_places for edit in edits[found[0] + 1 :]):
            raise UserError(f"answer {answer} needs edits after {name} that move no piece; put {name} last")

    def step(self, posed: Posed) -> Step:
        """Returns that edit as it happened."""
        return next(step for step in posed.steps if isinstance(step.corruption, self.corruption))


def end_id(vocabulary: Vocabulary) -> int:
    """Returns the piece that ends a target text: eos, or sep where there is none. Raises UserError without either."""
    return vocabulary.eos if vocabulary.eos is not None else vocabulary.need("sep")


def kept_places(posed: Posed, number: int) -> tuple[np.ndarray, np.ndarray | slice]:
    """Returns the original flat positions, int64 [N], of what step `number` chose, and which of its pieces have one
    (inserted ones have not)."""
    places = posed.places_first(number, posed.steps[number].chosen.positions)
    if number == 0:
        return places, slice(None)
    return places[places >= 0], places >= 0


def written(
    original: Rows,
    row_starts: np.ndarray,
    ids: np.ndarray,
    places: np.ndarray,
    is_special: np.ndarray,
    ends: Sequence[np.ndarray | int],
) -> WrittenText:
    """Returns a target text with these row starts, of pieces [N] that stood at these flat positions of the original.
    `ends`, ids of special pieces (one, or [B]), close each row and stand after its last place."""
    lengths = np.diff(row_starts)
    in_row = np.maximum(places - np.repeat(original.row_starts[:-1], lengths), 0)
    last = np.where(lengths > 0, np.append(in_row, 0)[row_starts[1:] - 1], -1)
    starts = row_starts + len(ends) * np.arange(len(row_starts))
    where = starts[1:] - len(ends) + np.arange(len(ends))[:, None]  # [ends, B]
    is_end = flags_at(where, starts[-1])
    all_ids, all_places = np.empty(len(is_end), dtype=np.int32), np.empty(len(is_end), dtype=np.int64)
    all_special, is_text = is_end.copy(), ~is_end
    all_ids[is_text], all_places[is_text], all_special[is_text] = ids, in_row, is_special
    for number, end in enumerate(ends):
        all_ids[where[number]], all_places[where[number]] = end, last + 1 + number
    return WrittenText(Rows(all_ids, starts, original.keys, {"special": all_special}), places=all_places)
