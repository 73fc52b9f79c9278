"""A pretext task: the four questions answered, as one frozen configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.visibility import Visibility
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings import Pairing
from afterbert.pretext.posed import Posed, Step
from afterbert.pretext.sight import Sight


@dataclass(frozen=True)
class Pretext:
    """Which texts stand together, what is chosen and shown instead (edit after edit), what is asked, who sees
    whom.

    Raises UserError when the parts do not fit.

    """

    pairing: Pairing
    edits: tuple[Edit, ...]
    answers: tuple[Answer, ...]
    visibility: Sight = Sight()

    def __post_init__(self) -> None:
        if not self.answers:
            raise UserError(
                "a pretext task without answers asks nothing; name at least one, such as in_place"
            )
        if "permutation" in self.visibility.kinds and not any(edit.selection.has_rank for edit in self.edits):
            raise UserError(
                "visibility permutation needs a selection that draws an order; use permutation_tail"
            )
        for answer in self.answers:
            answer.check(self.edits, self.visibility)

    def pose(
        self, rows: Rows, noise: Noise, vocabulary: Vocabulary, labels: np.ndarray | None = None
    ) -> Posed:
        """The task on these rows; `labels` int64 [B] are the plan's. A pure function of row, key, noise and
        vocabulary, row by row.
        """
        steps, shown, origin = [], rows, np.arange(rows.num_pieces)
        for number, edit in enumerate(self.edits):
            chosen = edit.selection(shown, noise.of(f"select{number}"))
            edited = edit.corruption(shown, chosen, noise.of(f"corrupt{number}"), vocabulary)
            keeps = edit.corruption.keeps_places
            steps.append(Step(shown, chosen, edited.rows, edited.origin, keeps))
            if not keeps:
                origin = np.where(edited.origin < 0, -1, origin[edited.origin])
            shown = edited.rows
        posed = Posed(shown, Visibility(), origin, rows, tuple(steps), labels)
        posed = replace(posed, visibility=self.visibility.of(posed, noise.of("sight")))
        return replace(posed, asked=tuple(answer(posed, vocabulary) for answer in self.answers))
