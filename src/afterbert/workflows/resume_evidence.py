"""What two runs must share if one was interrupted and the other was not: every logged number, every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterbert.base.runs import RunFolder
from afterbert.training.checkpoints import tensor_file

# What a record says of the clock, which no two runs share.
_OF_THE_CLOCK = frozenset({"tokens_per_second", "seconds"})

Bits = Mapping[str, str]


@dataclass(frozen=True)
class Evidence:
    """steps, evaluations: step -> name of the number -> all its bits; files: tensor file -> sha256."""

    steps: Mapping[int, Bits]
    evaluations: Mapping[int, Bits]
    files: Bits

    @classmethod
    def of(cls, run: RunFolder) -> Evidence:
        """Reads the evidence of a finished run: its metrics, its newest checkpoint and its model. Raises UserError
        for broken metrics."""
        records = run.metrics.read()
        newest = max(run.checkpoints.glob("step-*"), default=run.checkpoints, key=lambda path: path.name)
        folders = {"checkpoint": newest, "model": run.model}
        return cls(
            steps=_bits_by_step(records, "step"),
            evaluations=_bits_by_step(records, "evaluation"),
            files={
                f"{kind}/{path.relative_to(folder)}": tensor_file.digest(path).sha256
                for kind, folder in folders.items()
                for path in sorted(folder.rglob("*.safetensors"))
            },
        )


@dataclass(frozen=True)
class Difference:
    """The first thing that is not the same. step: None if it is a file."""

    step: int | None
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = "" if self.step is None else f"step {self.step}: "
        return f"{where}{self.what} is {self.found}, uninterrupted it is {self.expected}"


def first_difference(expected: Evidence, found: Evidence) -> Difference | None:
    """Finds where `found` first departs from `expected`; None if every bit agrees.

    >>> one = Evidence({1: {"loss": "0x1p+1"}, 2: {"loss": "0x1p+0"}}, {}, {"model": "ab"})
    >>> other = Evidence({1: {"loss": "0x1p+1"}, 2: {"loss": "0x1p-1"}}, {}, {"model": "cd"})
    >>> print(first_difference(one, other))
    step 2: loss is 0.5, uninterrupted it is 1.0
    >>> first_difference(one, one)
    """
    for called, mine, theirs in (
        ("", expected.steps, found.steps),
        ("evaluation ", expected.evaluations, found.evaluations),
    ):
        for step in sorted(mine.keys() | theirs.keys()):
            difference = _first_of(mine.get(step, {}), theirs.get(step, {}))
            if difference:
                name, before, after = difference
                return Difference(step, called + name, _readable(before), _readable(after))
    difference = _first_of(expected.files, found.files)
    if difference is None:
        return None
    name, before, after = difference
    return Difference(None, name, f"sha256 {before[:12]}", f"sha256 {after[:12]}")


def _first_of(mine: Bits, theirs: Bits) -> tuple[str, str, str] | None:
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        if mine.get(name) != theirs.get(name):
            return name, mine.get(name, "absent"), theirs.get(name, "absent")
    return None


def _bits_by_step(records: list[dict[str, Any]], kind: str) -> dict[int, Bits]:
    """Of each record of a kind; a step that is there twice keeps both, and so can never pass for one."""
    found: dict[int, dict[str, str]] = {}
    for record in records:
        if record["kind"] == kind:
            earlier = found.setdefault(record["step"], {})
            twice = "again " if earlier else ""
            earlier.update({twice + name: bits for name, bits in _bits(record).items()})
    return dict(found)


def _bits(record: Mapping[str, Any]) -> dict[str, str]:
    bits: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            bits |= {f"{name}.{inner}": found for inner, found in _bits(value).items()}
        elif name not in _OF_THE_CLOCK:
            bits[name] = value.hex() if isinstance(value, float) else str(value)
    return bits


def _readable(bits: str) -> str:
    return repr(float.fromhex(bits)) if "0x" in bits else bits
