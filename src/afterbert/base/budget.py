"""How long to train: a number that carries its unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from afterbert.base.errors import UserError, shown

Unit = Literal["steps", "tokens", "seconds", "flops", "epochs"]

_SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15}
_TIMES = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hours": 3600.0, "d": 86400.0}
_COUNTED = re.compile(r"([kMGBTP]?)(?i:(step|token|flop|epoch)s?)")
_WRITTEN = re.compile(r"\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-z]+)\s*")
_MOST: dict[Unit, float] = {"steps": 1e10, "tokens": 1e16, "seconds": 1e9, "flops": 1e30, "epochs": 1e7}
_LARGER = {"seconds": ((60.0, "min"),), "tokens": ((1e9, "Gtokens"), (1e6, "Mtokens"), (1e3, "ktokens"))}
_HINT = "write 10min, 2h, 500steps, 20Mtokens, 3epochs or 1e15flops"


@dataclass(frozen=True)
class Budget:
    """An amount with its unit: optimizer steps, tokens seen by the model, seconds, floating-point operations, epochs.

    >>> Budget.parse("10min")
    Budget(amount=600.0, unit='seconds')
    >>> Budget.parse("20Mtokens")
    Budget(amount=20000000.0, unit='tokens')
    >>> str(Budget.parse("1.5h")), str(Budget.parse("500steps")), str(Budget.parse("1e15flops"))
    ('90min', '500steps', '1e+15flops')
    >>> str(Budget.parse("100s")), str(Budget.parse("1234567steps"))   # what is written is read again as the same
    ('100s', '1234567steps')
    """

    amount: float
    unit: Unit

    def __post_init__(self) -> None:
        if self.amount > _MOST[self.unit]:
            raise UserError(
                f"a budget of {self.amount:.3g} {self.unit} is more than any run takes; write at most "
                f"{_MOST[self.unit]:.0e} {self.unit}"
            )
        if not self.amount > 0:
            raise UserError(f"a budget of {self.amount:g} {self.unit} trains nothing; {_HINT}")

    @classmethod
    def parse(cls, written: str) -> Budget:
        """Reads `10min`, `2h`, `500steps`, `20Mtokens`, `3epochs`, `1e15flops`. Raises UserError."""
        found = _WRITTEN.fullmatch(str(written))
        if not found:
            raise UserError(f"budget {shown(str(written))} has no unit; {_HINT}")
        amount, unit = float(found[1]), found[2]
        if unit in _TIMES:
            return cls(amount * _TIMES[unit], "seconds")
        if counted := _COUNTED.fullmatch(unit):
            return cls(amount * _SCALES[counted[1]], cast(Unit, counted[2].lower() + "s"))
        raise UserError(f"budget {shown(str(written))} has an unknown unit {shown(unit)}; {_HINT}")

    def __str__(self) -> str:
        for scale, unit in _LARGER.get(self.unit, ()):
            short = f"{self.amount / scale:g}"
            if self.amount >= scale and float(short) * scale == self.amount:
                return short + unit
        short = f"{self.amount:g}"
        number = short if float(short) == self.amount else repr(float(self.amount)).removesuffix(".0")
        return number + ("s" if self.unit == "seconds" else self.unit)
