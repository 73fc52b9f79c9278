"""How long a model takes for rows, in turns with the model that it came from, so that whatever else the machine does
befalls both alike."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from afterbert.base.noise import Noise

Predict = Callable[[Mapping[str, Tensor]], Tensor]

_SECONDS, _LEAST, _MOST = 3.0, 5, 60


@dataclass(frozen=True)
class Latency:
    """Milliseconds a batch of rows of one length takes."""

    batch_size: int
    length: int
    median: float
    low: float
    """The first quartile of the repetitions."""
    high: float
    """The third quartile."""
    repetitions: int
    speedup: float
    """The median, over repetitions, of the uncompressed model's time by this one's, measured one after the other."""


@dataclass(frozen=True)
class Machine:
    """The machine on which latencies were measured."""

    processor: str
    threads: int

    @staticmethod
    def here() -> Machine:
        """Describes the machine that this runs on."""
        return Machine(_processor(), torch.get_num_threads())


def latency(ours: Predict, theirs: Predict, mine: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Latency:
    """Times both, each on its own batch of the same shape, one after the other, after one pass that does not count."""
    sides: list[tuple[Predict, Mapping[str, Tensor], list[float]]] = [(ours, mine, []), (theirs, other, [])]
    with torch.inference_mode():
        for predict, batch, _ in sides:
            predict(batch)
        begun, (_, _, made) = time.perf_counter(), sides[0]
        while len(made) < _LEAST or (len(made) < _MOST and time.perf_counter() - begun < _SECONDS):
            for predict, batch, seconds in sides:
                before = time.perf_counter()
                predict(batch)
                seconds.append(time.perf_counter() - before)
    here, there = (np.array(seconds) for _, _, seconds in sides)
    low, median, high = np.quantile(here, (0.25, 0.5, 0.75)) * 1000
    batch_size, length = mine["input_ids"].shape
    speedup = float(np.median(there / here))
    return Latency(batch_size, length, float(median), float(low), float(high), len(here), speedup)


def rows_by_chance(batch_size: int, length: int, vocab_size: int) -> dict[str, Tensor]:
    """Returns a batch of rows of pieces by chance, all of one length."""
    drawn = Noise(0).of("latency").integers(vocab_size, np.arange(batch_size)[:, None], np.arange(length)[None])
    last = torch.full((batch_size,), length - 1)
    return {"input_ids": torch.from_numpy(drawn), "last": last, "unit_of": torch.arange(batch_size)}


def _processor() -> str:
    """The processor's name, as the system tells it."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or f"{os.cpu_count()} processors"


def median_speedup(found: Sequence[Latency]) -> float:
    """Returns the geometric mean of the speed-ups of all shapes."""
    return float(np.exp(np.mean([np.log(one.speedup) for one in found]))) if found else float("nan")
