"""What a pretext task really did to a batch, in numbers for a report."""

from typing import Any

import numpy as np

from afterbert.base.plugins import name_of
from afterbert.pretext.posed import Posed, Step
from afterbert.pretext.units import is_ordinary, units_of


def statistics_of(posed: Posed) -> dict[str, Any]:
    """Counts and shares, ready for JSON. Of the batch: `rows`, `pieces` and `pieces_shown` (special ones included); of
    each edit: `chosen_share` of the ordinary pieces it could choose from, `chosen_words_whole_share` of the words it
    touched (where words are known), `rows_without_choice`, `span_lengths` (length in pieces -> spans; 0: empty ones)
    and `actions` (see `actions_of`). The figures of a single edit stand at the top, those of several under
    `edit_1_<corruption>` and so on."""
    found: dict[str, Any] = {
        "rows": len(posed.original),
        "pieces": posed.original.num_pieces,
        "pieces_shown": posed.shown.num_pieces,
    }
    if len(posed.steps) == 1:
        return found | _of_step(posed.steps[0])
    for number, step in enumerate(posed.steps, start=1):
        found[f"edit_{number}_{name_of(step.corruption)}"] = _of_step(step)
    return found


def _of_step(step: Step) -> dict[str, Any]:
    rows, chosen = step.before, step.chosen
    found: dict[str, Any] = {"chosen_share": _ratio(len(chosen.positions), is_ordinary(rows).sum())}
    if "word_start" in rows.planes:
        words = units_of(rows, "word")
        of_word = np.searchsorted(words.starts, chosen.positions, side="right") - 1
        touched, counts = np.unique(of_word, return_counts=True)
        found["chosen_words_whole_share"] = _ratio((counts == words.lengths[touched]).sum(), len(touched))
    per_row = np.diff(np.searchsorted(chosen.positions, rows.row_starts))
    found["rows_without_choice"] = int((per_row == 0).sum())
    found["actions"] = actions_of(step)
    lengths, counts = np.unique(np.bincount(chosen.spans), return_counts=True)
    histogram = {"0": len(chosen.gaps)} if len(chosen.gaps) else {}
    found["span_lengths"] = histogram | {str(n): int(count) for n, count in zip(lengths, counts)}
    return found


def actions_of(step: Step) -> dict[str, float]:
    """Counts what happened to the chosen pieces, as shares of them: `mask`, `random`, `kept` for corruptions of
    content, `removed`; for order, `moved` and `kept`; for insertion, `preceded` by a new piece."""
    where, effect = step.chosen.positions, step.corruption.effect
    total = len(where)
    if effect == "removal":
        return {"removed": 1.0 if total else 0.0}
    if effect == "insertion":
        return {"preceded": 1.0 if total else 0.0}
    if effect == "order":
        moved = _ratio((step.stands_at[where] != where).sum(), total)
        return {"moved": moved, "kept": 1 - moved if total else 0.0}
    is_same = step.after.piece_ids[where] == step.before.piece_ids[where]
    hidden = step.after.planes.get("hidden", np.zeros(step.after.num_pieces, dtype=bool))[where]
    return {
        "mask": _ratio(hidden.sum(), total),
        "random": _ratio((~hidden & ~is_same).sum(), total),
        "kept": _ratio((~hidden & is_same).sum(), total),
    }


def _ratio(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else 0.0
