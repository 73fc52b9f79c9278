"""Which combinations are tried for a target, in which order, and which of them is taken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from afterbert.base.errors import UserError
from afterbert.compression.chain import check_all, parse
from afterbert.compression.latency import median_speedup
from afterbert.compression.measuring import StepRow
from afterbert.compression.methods import Method
from afterbert.compression.subject import Form

Kind = Literal["faster", "bytes", "points"]
_NUMBER = r"(\d+\.?\d*|\.\d+)"
_WRITTEN: dict[Kind, re.Pattern[str]] = {
    "faster": re.compile(rf"{_NUMBER}\s*x(?:\s+(?:faster|as fast))?"),
    "bytes": re.compile(rf"{_NUMBER}\s*(kB|MB|GB)"),
    "points": re.compile(rf"[-\N{{MINUS SIGN}}]\s*{_NUMBER}\s*points?"),
}
_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}


@dataclass(frozen=True)
class Target:
    """The goal of a smaller model. faster: the mean speed-up at least; bytes: on disk at most; points: the loss of the
    task's main metric at most, as a share of 1."""

    kind: Kind
    amount: float

    @staticmethod
    def parse(written: str) -> Target:
        """Reads a target. Raises UserError.

        >>> Target.parse("4x faster"), Target.parse("10MB"), Target.parse("-1 point")
        (Target(kind='faster', amount=4.0), Target(kind='bytes', amount=10000000.0), Target(kind='points', amount=0.01))
        """
        for kind, pattern in _WRITTEN.items():
            found = pattern.fullmatch(written.strip())
            if found is not None:
                amount = float(found[1]) * _UNITS.get(found[2], 1.0) if kind == "bytes" else float(found[1])
                amount = amount / 100 if kind == "points" else amount
                return Target(kind, amount)
        raise UserError(f"--target '{written}' is not known; write 4x faster, 10MB or -1 point")

    def is_met(self, row: StepRow) -> bool:
        """Returns whether a model reaches the goal."""
        if self.kind == "bytes":
            return row.bytes <= self.amount
        if self.kind == "points":
            return row.quality is not None and row.quality.change.estimate >= -self.amount
        return median_speedup(row.latencies) >= self.amount

    def best(self, rows: Sequence[StepRow]) -> int | None:
        """Returns the number of the row to take, or None if no row reaches the goal. Of those that do it is the one
        that keeps most quality; for a goal in points, the fastest."""
        met = [number for number, row in enumerate(rows) if self.is_met(row)]

        def worth(number: int) -> tuple[float, float]:
            row = rows[number]
            kept = row.quality.kept if row.quality is not None else 0.0
            if self.kind == "points":
                return (median_speedup(row.latencies) if row.latencies else -row.bytes, kept)
            return (kept, -row.bytes)

        return max(met, key=worth, default=None)


def ladder(form: Form) -> list[tuple[Method, ...]]:
    """Returns the combinations to try: first those without training, then fewer and fewer layers. Those that do not fit
    the model are left out."""
    layers = form.architecture.num_hidden_layers
    fewer = sorted({max(1, round(layers * share)) for share in (2 / 3, 1 / 2, 1 / 3, 1 / 6)} - {layers}, reverse=True)
    written = [["quantize"], ["vocabulary", "quantize"]]
    written += [["vocabulary", f"layers:{keep}", "quantize"] for keep in fewer[:1]]
    written += [["vocabulary", f"layers:{keep}", "distil:2", "quantize"] for keep in fewer]
    written += [["vocabulary", f"layers:{keep}", "neurons:0.5", "distil:2", "quantize"] for keep in fewer]
    found = []
    for chain in written:
        methods = tuple(parse(one) for one in chain)
        try:
            check_all(form, methods)
        except UserError:
            continue
        found.append(methods)
    return found
