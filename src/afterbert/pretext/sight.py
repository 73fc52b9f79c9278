"""Who may attend to whom in a pretext task, as a setting; `base.visibility` holds the answer for one batch."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.visibility import Kind, Visibility
from afterbert.pretext.posed import Posed
from afterbert.pretext.units import needed_plane


@dataclass(frozen=True)
class Sight:
    """kinds: one kind for all rows, or several between which each row draws evenly; name one twice to double
    its share (UniLM, 1905.03197 Section 2.4: full, full, prefix, prefix, causal, reverse).

    prefix_ends: where the visible prefix of a prefix row ends: at its first chosen piece, its second segment,
    or its middle. within_documents: pieces of different documents in one row do not see each other.
    """

    kinds: tuple[Kind, ...] = ("full",)
    prefix_ends: Literal["chosen", "segment", "half"] = "chosen"
    within_documents: bool = False

    def __post_init__(self) -> None:
        if not self.kinds:
            raise UserError("visibility names no kind; choose among full, causal, reverse, prefix, permutation")

    def of(self, posed: Posed, noise: Noise) -> Visibility:
        """Returns the visibility of these shown rows."""
        rows = posed.shown
        kind: Kind | tuple[Kind, ...] = self.kinds[0]
        if len(self.kinds) > 1:
            drawn = noise.integers(len(self.kinds), rows.keys)
            kind = tuple(self.kinds[number] for number in drawn)
        return Visibility(
            kind=kind,
            prefix_lengths=self._prefixes(posed) if "prefix" in self.kinds else None,
            rank=_rank(posed) if "permutation" in self.kinds else None,
            documents=needed_plane(rows, "document").astype(np.int64) if self.within_documents else None,
        )

    def _prefixes(self, posed: Posed) -> np.ndarray:
        rows = posed.shown
        if self.prefix_ends == "half":
            return rows.lengths // 2
        if self.prefix_ends == "segment":
            return _first_in_rows(np.flatnonzero(needed_plane(rows, "segment") == 1), rows)
        chosen = [posed.places_now(number, step.chosen.positions) for number, step in enumerate(posed.steps)]
        positions = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *chosen]))
        return _first_in_rows(positions[positions >= 0], rows)


def _first_in_rows(positions: np.ndarray, rows: Rows) -> np.ndarray:
    """int64 [B]: the position in its row of each row's first of these sorted flat positions; the row's length if it has
    none."""
    nearest = np.append(positions, rows.num_pieces)[np.searchsorted(positions, rows.row_starts[:-1])]
    return np.minimum(nearest, rows.row_starts[1:]) - rows.row_starts[:-1]


def _rank(posed: Posed) -> np.ndarray:
    ranked = [(number, step.chosen.rank) for number, step in enumerate(posed.steps) if step.chosen.rank is not None]
    assert ranked, "checked when the pretext was built"
    number, rank = ranked[-1]
    shown = np.zeros(posed.shown.num_pieces, dtype=np.int64)
    now = posed.places_now(number, np.arange(len(rank)))
    shown[now[now >= 0]] = rank[now >= 0]
    return shown
