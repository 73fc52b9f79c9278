"""Carries out one command after another, for an engine that would else start a process for each: a short run takes as
long to bring up Python and PyTorch as to learn.

A command comes as a line of JSON on standard input, the words after `afterbert`. For each a line goes back: its exit
status, and what it said on both of its outputs.
"""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress

from afterbert.cli.main import run


def main() -> None:
    """Ends when there is nothing more to read, or when a signal stops a command."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    status = 0
    with suppress(KeyboardInterrupt):  # while it waits
        while status < 128 and (line := sys.stdin.readline()):
            with tempfile.TemporaryFile() as said:
                os.dup2(said.fileno(), sys.stdout.fileno())
                os.dup2(said.fileno(), sys.stderr.fileno())
                status = _status(json.loads(line))
                said.seek(0)
                print(json.dumps([status, said.read().decode(errors="replace")]), file=answers, flush=True)


def _status(words: Sequence[str]) -> int:
    try:
        return run(list(words))
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
