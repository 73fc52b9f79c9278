"""How numbers are written for people: with their unit, and no more digits than they are worth."""

import math
from typing import Any

_MINUS = "\N{MINUS SIGN}"


def count(number: float | None) -> str:
    """Returns a whole number in full.

    >>> count(1234567), count(None)
    ('1,234,567', '–')
    """
    return _odd(number) or f"{number:,.0f}".replace("-", _MINUS)


def large(number: float | None) -> str:
    """Returns a large number to three digits.

    >>> large(812), large(8_041_472), large(12_345), large(999_999)
    ('812', '8.04 M', '12.3 k', '1 M')
    """
    return _odd(number) or _scaled(number, (("G", 1e9), ("M", 1e6), ("k", 1e3)), "")


def size(number: float | None) -> str:
    """Returns a number of bytes in powers of ten.

    >>> size(29_400_000), size(12)
    ('29.4 MB', '12 bytes')
    """
    return _odd(number) or _scaled(number, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)), "bytes")


def percent(share: float | None) -> str:
    """Returns a share of one as percent, with one decimal.

    >>> percent(0.32816), percent(1), percent(0.00004)
    ('32.8%', '100%', '0.004%')
    """
    if odd := _odd(share):
        return odd
    assert share is not None
    if share != 0 and abs(share) < 0.0005:
        return f"{100 * share:.1g}%".replace("-", _MINUS)
    written = f"{100 * share:.1f}"
    return f"{written.removesuffix('.0') if share in (0, 1) else written}%".replace("-", _MINUS)


def duration(seconds: float | None) -> str:
    """Seconds as people say them.

    >>> duration(4.21), duration(598), duration(36_720)
    ('4.2 s', '9 min 58 s', '10 h 12 min')
    """
    if odd := _odd(seconds):
        return odd
    assert seconds is not None
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def number(value: Any) -> str:
    """Returns any single value: four digits for a fraction, all of them for a whole number.

    >>> number(3.14159265), number(4096), number(0.00003), number(float("nan")), number(True)
    ('3.142', '4,096', '3e-05', 'NaN', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (int, float)):
        return "–" if value is None else str(value)
    if odd := _odd(value):
        return odd
    if float(value).is_integer() and abs(value) < 1e15:
        return count(value)
    return f"{value:.4g}".replace("-", _MINUS, 1) if value < 0 else f"{value:.4g}"


def measured(value: float | None, unit: str) -> str:
    """Returns a measure in its unit: a `share`, `bytes`, or any number."""
    if value is None:
        return "–"
    if unit in ("share", "bytes"):
        return percent(value) if unit == "share" else size(value)
    return large(value) if abs(value) >= 10_000 else number(value)


def words(key: str) -> str:
    """Returns a key of a file in words.

    >>> words("left_and_right_neighbour")
    'left and right neighbour'
    """
    return key.replace("_", " ")


def _odd(value: float | None) -> str:
    """What to write for a value that is no ordinary number, else nothing."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    return "" if math.isfinite(value) else ("∞" if value > 0 else f"{_MINUS}∞")


def _scaled(value: float | None, units: tuple[tuple[str, float], ...], plain: str) -> str:
    assert value is not None
    for unit, scale in units:
        if abs(value) >= 0.9995 * scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f} {plain}".rstrip()
