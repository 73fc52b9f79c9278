"""From a posed task to the padded arrays a model takes. What every objective needs of it is here once."""

import numpy as np

from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.posed import AskedInPlace, Places, Pointers, Posed, RowLabels

# Widths are rounded up to this, so that few different shapes occur.
_MULTIPLE = 8


def width_of(rows: Rows, length: int) -> int:
    """Columns of the padded batch: the longest row, rounded up, at most `length` unless a row is longer."""
    longest = int(rows.lengths.max(initial=1))
    return max(longest, min(length, -(-longest // _MULTIPLE) * _MULTIPLE))


def input_arrays(posed: Posed, vocabulary: Vocabulary, *, width: int) -> dict[str, np.ndarray]:
    """Returns `input_ids` [B, width], `token_type_ids` where the rows have segments, `language_ids` where they tell
    languages, and the visibility's arrays."""
    from afterbert.nn.visibility import padded_visibility  # imports PyTorch, which a task needs only as a batch

    rows = posed.shown
    pad = vocabulary.pad if vocabulary.pad is not None else 0
    if rows.num_pieces == len(rows) * width:
        arrays = {"input_ids": rows.piece_ids.reshape(len(rows), width).astype(np.int64)}
    else:
        arrays = {"input_ids": rows.padded(rows.piece_ids, fill=pad, length=width).astype(np.int64)}
    if "segment" in rows.planes and rows.planes["segment"].any():
        arrays["token_type_ids"] = rows.padded(rows.planes["segment"], fill=0, length=width).astype(np.int64)
    if "language" in rows.planes:
        arrays["language_ids"] = rows.padded(rows.planes["language"], fill=0, length=width).astype(np.int64)
    if "position" in rows.planes:
        arrays["position_ids"] = rows.padded(rows.planes["position"], fill=0, length=width).astype(np.int64)
    return arrays | padded_visibility(posed.visibility, rows, length=width)


def asked_arrays(posed: Posed, *, width: int, in_place: str = "masked") -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Returns the arrays of each question except written texts, and how many things each asks.

    Positions are flat into the padded batch [B * width]. `in_place`: what the pieces asked in place count for.
    """
    arrays: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for asked in posed.asked:
        if isinstance(asked, AskedInPlace):
            arrays["chosen"] = posed.shown.flat_to_padded(asked.positions, length=width)
            arrays["target_ids"] = asked.target_ids.astype(np.int64)
            counts[in_place] = len(asked.positions)
        elif isinstance(asked, Places):
            arrays[f"{asked.name}_at"] = posed.shown.flat_to_padded(asked.positions, length=width)
            arrays[f"{asked.name}_labels"] = asked.labels.astype(np.int64)
            counts[asked.name] = len(asked.positions)
        elif isinstance(asked, Pointers):
            arrays[f"{asked.name}_from"] = posed.shown.flat_to_padded(asked.positions, length=width)
            arrays[f"{asked.name}_to"] = posed.shown.position_in_row[asked.targets]
            arrays[f"{asked.name}_candidates"] = posed.shown.padded(asked.candidates, fill=False, length=width)
            counts[asked.name] = len(asked.positions)
        elif isinstance(asked, RowLabels):
            arrays[f"{asked.name}_labels"] = asked.labels.astype(np.int64)
            counts[asked.name] = int((asked.labels >= 0).sum())
    return arrays, counts
