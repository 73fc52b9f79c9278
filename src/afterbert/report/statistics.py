"""Free-form statistics of a run, as groups of figures and of bars."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterbert.report import figures
from afterbert.report.run_record import RunRecord

_MOST_BARS = 24
_SHARES = ("share", "rate", "fraction", "accuracy")


@dataclass(frozen=True)
class ShareBar:
    """A named value, as written and as a width in percent of the longest."""

    name: str
    value: str
    width: float


@dataclass(frozen=True)
class Group:
    """A named dict of numbers; `rest` is how many bars were left out."""

    name: str
    bars: tuple[ShareBar, ...]
    rest: int = 0


@dataclass(frozen=True)
class Statistics:
    """Single figures (name, as written), and groups of bars."""

    singles: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]


def statistics_of(record: RunRecord) -> Statistics:
    """Returns statistics.json in the order of the file, with the rate that the recipe asks for beside the real one."""
    singles, groups = [], []
    for key, value in record.statistics.items():
        if isinstance(value, Mapping):
            groups += _groups(figures.words(key), value)
        elif not isinstance(value, list):
            singles.append((figures.words(key), _written(key, value) + _asked(key, record)))
    return Statistics(tuple(singles), tuple(groups))


def _groups(name: str, found: Mapping[str, Any]) -> list[Group]:
    """The group of a dict's numbers, and of each dict in it."""
    numbers = {k: float(v) for k, v in found.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    inner = [g for k, v in found.items() if isinstance(v, Mapping) for g in _groups(f"{name}, {figures.words(k)}", v)]
    return ([_group(name, numbers)] if numbers else []) + inner


def _group(name: str, numbers: dict[str, float]) -> Group:
    finite = [v for v in numbers.values() if math.isfinite(v)]
    total, longest = sum(finite), max([abs(v) for v in finite], default=0.0)
    are_shares = bool(finite) and all(0 <= v <= 1 for v in finite) and abs(total - 1) < 0.02
    are_counts = bool(finite) and all(v >= 0 and v.is_integer() for v in finite) and total > 1
    bars = []
    for key, value in list(numbers.items())[:_MOST_BARS]:
        if are_shares:
            written = figures.percent(value)
        elif are_counts:
            written = f"{figures.count(value)} ({figures.percent(value / total)})"
        else:
            written = _written(key, value)
        width = 100 * abs(value) / longest if longest and math.isfinite(value) else 0.0
        bars.append(ShareBar(figures.words(key), written, round(width, 1)))
    return Group(name, tuple(bars), rest=max(0, len(numbers) - _MOST_BARS))


def _written(key: str, value: Any) -> str:
    is_share = key.endswith(_SHARES) and isinstance(value, float) and 0 <= value <= 1
    return figures.percent(value) if is_share else figures.number(value)


def _asked(key: str, record: RunRecord) -> str:
    """The recipe's rate, where there is exactly one and this is what came of it."""
    asked = [v.value for v in record.recipe if v.path.startswith("objective.") and v.key == "rate"]
    if key != "chosen_share" or len(asked) != 1 or not isinstance(asked[0], float):
        return ""
    return f" (asked: {figures.percent(asked[0])})"
