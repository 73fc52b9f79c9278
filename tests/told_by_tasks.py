"""What shown rows and answers tell: the original text, and what one who looks at nothing gets right."""

import numpy as np

from afterbert.base.rows import Rows
from afterbert.pretext.posed import Asked, AskedInPlace, Places, Pointers, Posed, RowLabels, WrittenText

UNKNOWN = -1


def undo(posed: Posed) -> np.ndarray:
    """int32 [T of the original rows]: the pieces that shown rows and answers tell, -1 where they leave a piece open (a
    deletion of which only the place is asked, say). No piece is ever told wrongly."""
    told = np.full(posed.original.num_pieces, UNKNOWN, dtype=np.int32)
    shown = posed.shown.piece_ids.copy()
    shown[_is_doubtful(posed)] = UNKNOWN
    stands = posed.origin >= 0
    told[posed.origin[stands]] = shown[stands]
    for asked in posed.asked:
        if isinstance(asked, AskedInPlace):
            told[posed.origin[asked.positions + asked.ahead]] = asked.target_ids
        elif isinstance(asked, WrittenText):
            is_text = ~asked.target.planes["special"]
            in_row = asked.target.position_in_row if asked.places is None else asked.places
            places = in_row + posed.original.row_starts[:-1][asked.target.row_of]
            told[places[is_text]] = asked.target.piece_ids[is_text]
    return told


def _is_doubtful(posed: Posed) -> np.ndarray:
    """bool [T shown]: pieces that may not be what stood in their place: those that a corruption of content chose,
    unless it is asked which of them were replaced and the answer is no."""
    doubtful = np.zeros(posed.shown.num_pieces, dtype=bool)
    for number, step in enumerate(posed.steps):
        if step.corruption.effect == "content":
            now = posed.places_now(number, step.chosen.positions)
            doubtful[now[now >= 0]] = True
    for asked in posed.asked:
        if isinstance(asked, Places) and asked.name == "replaced":
            doubtful[asked.positions] = asked.labels == 1
    return doubtful


def trivial_accuracy(asked: Asked, shown: Rows) -> float:
    """The expected accuracy of the best answer that looks at nothing: the commonest piece or label throughout, or a
    blind choice among a row's candidates. nan where nothing is asked.

    >>> trivial_accuracy(Places("deleted", np.arange(4), np.array([0, 0, 0, 1])), Rows.of("a b c d"))
    0.75
    """
    if isinstance(asked, Pointers):
        candidates = np.diff(np.searchsorted(np.flatnonzero(asked.candidates), shown.row_starts))
        choices = candidates[np.searchsorted(shown.row_starts, asked.positions, side="right") - 1]
        return float(np.mean(1.0 / choices)) if len(choices) else float("nan")
    if isinstance(asked, AskedInPlace):
        answers = asked.target_ids
    elif isinstance(asked, Places):
        answers = asked.labels
    elif isinstance(asked, RowLabels):
        answers = asked.labels[asked.labels >= 0]
    else:
        answers = asked.target.piece_ids
    _, counts = np.unique(answers, return_counts=True)
    return float(counts.max() / counts.sum()) if len(answers) else float("nan")
