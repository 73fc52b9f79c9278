"""Which questions a pretext asks, known before any batch: what an answer's call returns says what heads it needs."""

import typing
from functools import cache

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.pretext.answers import Answer
from afterbert.pretext.task import Pretext

ONE_TABLE = "{} names pieces by one table for all languages; leave it out, or model.stack.sharing.embeddings"


@cache
def kind_of(answer: type[Answer]) -> type:
    """Returns InPlace, WrittenText, Places, Pointers or RowLabels: the class that this answer returns."""
    return typing.get_type_hints(answer.__call__)["return"]


def names_of(pretext: Pretext, kind: type) -> list[str]:
    """Returns the names of the answers of this kind, in the pretext's order."""
    return [name_of(answer) for answer in pretext.answers if kind_of(type(answer)) is kind]


def check_answers(pretext: Pretext, objective: str, *, may: tuple[type, ...], exactly_one: type | None = None) -> None:
    """Raises UserError if the pretext asks something that `may` not be asked by this objective, or when not
    `exactly_one` answer is of that kind."""
    strange = [name_of(answer) for answer in pretext.answers if kind_of(type(answer)) not in may]
    if strange:
        raise UserError(
            f"objective {objective} has no head for answer {strange[0]}; choose another answer or another objective"
        )
    if exactly_one is not None and len(names_of(pretext, exactly_one)) != 1:
        found = ", ".join(name_of(answer) for answer in pretext.answers)
        raise UserError(f"objective {objective} asks one question of its kind, found {found}; see `afterbert show`")
