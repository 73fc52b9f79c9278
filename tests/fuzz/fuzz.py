"""Broken input for as long as you like: looks for tracebacks, hangs, exits without a word.

    make fuzz                                       ten minutes
    python tests/fuzz/fuzz.py --seconds 60 --group "model folders" --seed 7

Prints the seed of every round; a finding is shrunk by hypothesis, printed with its command, and ends with status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from inputs import GROUPS, TEXT

from afterbert.cli.main import run

# After so much processor time an answer counts as a hang, a command on these files takes one or two; after ten times as
# much by the clock, too: who waits for a pipe uses no processor.
_SECONDS = 60
_EXAMPLES = 25  # a round
TINY = "--model.num_hidden_layers 1 --model.hidden_size 32 --model.num_attention_heads 2 --model.intermediate_size 32"
TINY += " --length 32 --training.batch_size 4 --training.workers 0 --training.checkpoint_every 2steps --name run"


class Hang(Exception):
    """A command that does not come to an end."""


def said_by(command: list[str]) -> tuple[int, str]:
    """The status of a command, and what it wrote to the error stream. Raises whatever a user would see as a traceback,
    and Hang."""

    def ring(*_: object) -> None:
        raise Hang(f"no answer within {_SECONDS} s of processor time, or {10 * _SECONDS} s by the clock")

    errors = io.StringIO()
    for one in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(one, ring)
    signal.alarm(10 * _SECONDS)
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run(command), errors.getvalue()
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def made_base(folder: Path) -> Path:
    """A store and a short run on it, which the attacks copy."""
    (folder / "text.txt").write_text(TEXT)
    commands = [
        ["prepare", str(folder / "text.txt"), "--out", str(folder / "store"), "--vocab-size", "300"],
        ["pretrain", str(folder / "store"), "--out", str(folder), "--budget", "4steps", *TINY.split()],
    ]
    for command in commands:
        status, errors = said_by(command)
        assert status == 0, errors
    return folder


def attack(group: str, base: Path, number: int, examples: int, counts: Counter) -> None:
    """One round: `examples` broken inputs of a group. Raises what was found, shrunk."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.data())
    def once(data: st.DataObject) -> None:
        scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
        try:
            command = GROUPS[group](scratch, base, data.draw)
            status, errors = said_by(command)
            counts[f"{group}: {'taken' if status == 0 else 'refused'}"] += 1
            assert status in (0, 2), f"exit status {status}: {command}\n{errors}"
            assert status == 0 or errors.startswith("error: "), f"refused without a word: {command}\n{errors}"
            assert max(map(len, errors.splitlines()), default=0) < 4000, f"a line without end: {command}"
            left = [path.name for path in scratch.rglob("*") if path.name.startswith((".tmp-", ".lock"))]
            assert not left, f"left behind: {left} by {command}"
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    once()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, help="of the first round; by chance where it is not given")
    parser.add_argument("--group", choices=list(GROUPS), action="append")
    chosen = parser.parse_args()
    number = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    until, counts, findings = time.monotonic() + chosen.seconds, Counter(), 0
    groups = chosen.group or list(GROUPS)
    with tempfile.TemporaryDirectory() as folder:
        base = made_base(Path(folder))
        while time.monotonic() < until:
            group = groups[number % len(groups)]
            print(f"round with seed {number}: {group}", flush=True)
            try:
                attack(group, base, number, _EXAMPLES, counts)
            except (Exception, Hang) as found:
                findings += 1
                for one in getattr(found, "exceptions", [found]):  # hypothesis tells several failures in a group
                    notes = "\n".join(getattr(one, "__notes__", []))[:4000]
                    print(f"FOUND (seed {number}, {group}): {type(one).__name__}: {one}\n{notes}", flush=True)
            number += 1
    for name, count in sorted(counts.items()):
        print(f"{name} {count}")
    print(f"{findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
