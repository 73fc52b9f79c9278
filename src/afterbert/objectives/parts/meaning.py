"""What a figure says to a person: its name, its unit, and what a guess that knows nothing would reach."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: The unit of a measure that is a share of 1, which is written in percent.
SHARE = "share"


@dataclass(frozen=True)
class Meaning:
    """
    >>> Meaning.of_pieces("masked pieces", 8).unit
    'nats per piece'
    """

    title: str
    """In words, such as "masked pieces, loss"."""
    unit: str
    """`nats per piece`, `nats per row`, `SHARE` and the like."""
    uniform: float | None = None
    """What a guess that holds all answers for equally likely reaches; None if there is no one such number."""
    beside: str = ""
    """The key of a measure to lay beside it: what an answer that looks at nothing reaches on the same rows."""

    @staticmethod
    def of_pieces(what: str, vocab_size: int) -> Meaning:
        """Returns the loss of naming one piece of a vocabulary."""
        return Meaning(f"{what}, loss", "nats per piece", math.log(vocab_size))

    @staticmethod
    def of_choice(what: str, choices: int, per: str) -> Meaning:
        """Returns the loss of choosing one of so many answers."""
        return Meaning(f"{what}, loss", f"nats per {per}", math.log(choices))

    @staticmethod
    def share_right(what: str, *, uniform: float | None = None, beside: str = "") -> Meaning:
        """Returns the share of right answers."""
        return Meaning(f"{what}, share right", SHARE, uniform, beside)


def told(
    known: Mapping[str, Meaning], loss: Meaning, measured: Mapping[str, float], counts: Mapping[str, int]
) -> list[str]:
    """Returns the figures of an objective on held-out rows as lines for a person; `loss_<part>` is the loss of a part,
    and `counts` says of how many a share is.

    >>> words = Meaning.share_right("words", uniform=0.5)
    >>> told({"a": words}, Meaning("words", "nats"), {"loss": 1.25, "a": 0.75}, {"a": 4})
    ['words: 1.250 nats', 'words, share right: 75.0% of 4 (a uniform guess: 50.0%)']
    """
    lines, laid_beside = [], {one.beside for one in known.values()}
    for key, value in measured.items():
        if key in laid_beside:
            continue
        one = loss if key == "loss" else known.get(key.removeprefix("loss_"))
        if one is None:
            continue

        def written(value: float, unit: str = one.unit) -> str:
            return f"{value:.1%}" if unit == SHARE else f"{value:.3f} {unit}"

        beside = [] if one.uniform is None else [f"a uniform guess: {written(one.uniform)}"]
        if one.beside in measured:
            beside.append(f"{known[one.beside].title.rpartition(', ')[2]}: {written(measured[one.beside])}")
        of = f" of {counts[key]:,}" if key in counts and one.unit == SHARE else ""
        lines.append(f"{one.title}: {written(value)}{of}" + (f" ({', '.join(beside)})" if beside else ""))
    return lines


def meaning_of_loss(weights: Mapping[str, float], parts: Mapping[str, Meaning]) -> Meaning:
    """Tells what the whole loss of an objective is: the one part it has, or a weighted sum, whose uniform guess is the
    weighted sum of those of its parts.

    >>> parts = {"generator": Meaning.of_pieces("the generator", 8), "replaced": Meaning.of_choice("", 2, "piece")}
    >>> found = meaning_of_loss({"generator": 1.0, "replaced": 50.0}, parts)
    >>> found.title, round(found.uniform, 2)
    ('weighted sum: generator + 50 replaced', 36.74)
    """
    if len(weights) == 1:
        ((name, weight),) = weights.items()
        if weight == 1.0 and name in parts:
            return parts[name]
    uniform: float | None = 0.0
    for name, weight in weights.items():
        known = parts[name].uniform if name in parts else None
        uniform = None if known is None or uniform is None else uniform + weight * known
    terms = [name if weight == 1 else f"{weight:.3g} {name}" for name, weight in weights.items()]
    return Meaning(f"weighted sum: {' + '.join(terms)}".replace("_", " "), "nats, weighted", uniform)
