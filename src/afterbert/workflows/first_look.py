"""What a run will ask, looked at before its first step: every question, in every stage of the run.

Some texts leave a question nothing to ask, or one answer only: documents of one sentence have no next sentence. Such a
run would go to its end with a loss of 0, so it is told here, with what helps.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Objective
from afterbert.objectives.mixture import MixedPlan
from afterbert.pretext.answers import Answer
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import Asked, AskedInPlace, Places, Pointers, RowLabels, WrittenText
from afterbert.training.feed import Feed

_MOST_ROWS = 512
_FEWEST_ANSWERS = 8  # among fewer, chance may well give the same one each time


def first_look(objective: Objective, feed: Feed, vocabulary: Vocabulary, *, seed: int) -> list[str]:
    """Poses rows from all over the first epoch, in each stage of the run, and returns notes for the user on
    questions that ask nothing or have one answer only.

    Raises UserError if the objective asks nothing at all in a stage, and for whatever posing itself raises, such as a
    plane that the store lacks.
    """
    told: list[str] = []
    for moment, (*_, part) in product(feed.moments, feed.parts):
        noise, asks = Noise(seed).at(moment), False
        for answer, asked, rows in _questions(objective, part, vocabulary, noise):
            (count, num_answers), name = _counted(asked), getattr(asked, "name", name_of(answer))
            asks |= count > 0
            if not count:
                told.append(f"{name} asks nothing in any of the {rows} rows looked at; {answer.cure}")
            elif count >= _FEWEST_ANSWERS and num_answers == 1:
                told.append(
                    f"{name} has the same answer in all of the {rows} rows looked at, so nothing is learned from it; "
                    f"{answer.cure}"
                )
        if not asks and told:
            raise UserError(f"the task asks nothing of these texts: {told[-1]}")
    return list(dict.fromkeys(told))


def _questions(
    objective: Objective, feed: Feed, vocabulary: Vocabulary, noise: Noise
) -> Iterator[tuple[Answer, Asked, int]]:
    """Each question of each pretext task, as it is asked of some rows, and how many these are."""
    for name, task in objective.pretexts().items():
        plan = _own(feed.epochs.plan(0), name)
        number = len(plan)
        numbers = np.arange(min(number, _MOST_ROWS)) * number // max(min(number, _MOST_ROWS), 1)
        posed = task.posed(plan, numbers, noise, vocabulary)
        for answer, asked in zip(task.pretext.answers, posed.asked):
            yield answer, asked, len(numbers)


def _own(plan: Plan, name: str) -> Plan:
    """A member's plan, by its dotted name."""
    while isinstance(plan, MixedPlan):
        member, _, name = name.partition(".")
        plan = plan.plans[member]
    return plan


def _counted(asked: Asked) -> tuple[int, int | None]:
    """How many things are asked, and how many different answers there are where they are labels."""
    match asked:
        case RowLabels():
            labels = asked.labels[asked.labels >= 0]
            return len(labels), len(np.unique(labels))
        case Places():
            return len(asked.labels), len(np.unique(asked.labels))
        case AskedInPlace() | Pointers():
            return len(asked.positions), None
        case WrittenText():
            return asked.target.num_pieces, None
