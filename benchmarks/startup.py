"""Processor time until a command has answered, beside what importing PyTorch and transformers' own command cost.

    python benchmarks/startup.py --turns 7 [--model runs/laptop-tiny-1a2b3c4d]

Every command runs once to fill the disk cache and then once a turn, in turns, each in a process of its own;
told are medians of user and system time, which other programs on the machine disturb less than the clock.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

OURS = [sys.executable, "-m", "afterbert"]


def processor_seconds(command: Sequence[str]) -> float:
    """User and system time of a command and its children. Raises CalledProcessError where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def commands(model: str | None) -> dict[str, list[str]]:
    """What is measured: a label and the command."""
    found = {
        "import torch": [sys.executable, "-c", "import torch"],
        "afterbert --version": [*OURS, "--version"],
        "afterbert": OURS,
        "afterbert fill --help": [*OURS, "fill", "--help"],
        "afterbert recipes": [*OURS, "recipes"],
        "afterbert show": [*OURS, "show", "The cat sat on the mat."],
    }
    if model is not None:
        found["afterbert fill"] = [*OURS, "fill", "The [MASK] sat on the mat.", "--model", model]
    theirs = shutil.which("transformers", path=str(Path(sys.executable).parent))
    if theirs is not None:
        found["transformers env"] = [theirs, "env"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--model", help="a run or model folder, for `fill`")
    chosen = parser.parse_args()
    measured = commands(chosen.model)
    seconds: dict[str, list[float]] = {label: [] for label in measured}
    for turn in range(chosen.turns + 1):
        for label, command in measured.items():
            taken = processor_seconds(command)
            if turn:
                seconds[label].append(taken)
    print("| command | processor time, s (median) | least to most |\n|---|---|---|")
    for label, taken_all in seconds.items():
        print(f"| `{label}` | {statistics.median(taken_all):.2f} | {min(taken_all):.2f} to {max(taken_all):.2f} |")


if __name__ == "__main__":
    main()
