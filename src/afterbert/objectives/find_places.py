"""Where? The tasks whose answer is a place: what was deleted, inserted or replaced (yes or no at each piece),
which sentence comes next and where the text began (a pointer to a piece).

Source: the article's list of such tasks; the corruptions are BART's (1910.13461, Section 2.2), which rebuilds
the text instead, and ELECTRA's with random replacements (2003.10555). No paper reports these exact heads: one
logit a piece as in ELECTRA, and a dot product of two projections for pointers. Each is measured beside what
needs no model: always "no", and a guess among the candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives.parts.posing import PretextObjective
from afterbert.objectives.parts.questions import check_answers
from afterbert.pretext.posed import Places, Pointers

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.objectives.modules import ObjectiveModule


@dataclass(frozen=True)
class FindPlaces(PretextObjective):
    """pretext: its answers are places (deleted, inserted, replaced) or pointers (sentence_order, true_start); each is
    one part of the score, all of weight 1."""

    def __post_init__(self) -> None:
        check_answers(self.pretext, "find_places", may=(Places, Pointers))

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.modules.find_places import FindPlacesModule

        return FindPlacesModule(self, architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        self.check_reads_both_ways(architecture)
