"""How far one gets without reading: the trivial baseline of each question."""

import numpy as np

from afterbert.base.rows import Rows
from afterbert.pretext.posed import Asked, AskedInPlace, Places, Pointers, RowLabels


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
        answers = asked.target.piece_ids if asked.asked is None else asked.target.piece_ids[asked.asked]
    _, counts = np.unique(answers, return_counts=True)
    return float(counts.max() / counts.sum()) if len(answers) else float("nan")
