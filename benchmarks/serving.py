"""Requests a second that `afterbert serve` answers, with batches of concurrent rows and one by one, in turns.

    python benchmarks/serving.py runs/laptop-tiny-1a2b3c4d --requests 400 --at-once 32 --turns 3

Each turn starts a server of its own process and asks it from threads; told are medians over the turns and their ratio.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local

WORDS = ("house", "storm", "lantern", "miller", "letter", "river", "ship", "garden")


def asked(number: int) -> bytes:
    """The body of a request: one row of some dozen words, no two alike."""
    some = " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 3, 5))
    return json.dumps({"texts": [f"The [MASK] of the {some} was seen by {number} men in the morning."]}).encode()


def rate(model: str, *, batch: int, requests: int, at_once: int) -> float:
    """Requests a second of a fresh server."""
    command = [sys.executable, "-m", "afterbert", "serve", model, "--port", "0", "--batch", str(batch)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = re.search(r":(\d+)/", server.stdout.readline())
        assert said is not None, "the server told no address"
        mine = local()

        def answer(number: int) -> int:
            if not hasattr(mine, "connection"):
                mine.connection = http.client.HTTPConnection("127.0.0.1", int(said[1]))
            headers = {"Content-Type": "application/json"}
            mine.connection.request("POST", "/fill", asked(number), headers)
            got = mine.connection.getresponse()
            got.read()
            return int(got.status)

        try:
            with ThreadPoolExecutor(at_once) as threads:
                assert set(threads.map(answer, range(at_once * 2))) == {200}
                begin = time.perf_counter()
                assert set(threads.map(answer, range(requests))) == {200}
                return requests / (time.perf_counter() - begin)
        finally:
            server.terminate()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args(arguments)
    found: dict[int, list[float]] = {1: [], 32: []}
    for _ in range(given.turns):
        for batch, rates in found.items():
            rates.append(rate(given.model, batch=batch, requests=given.requests, at_once=given.at_once))
    middle = {batch: statistics.median(rates) for batch, rates in found.items()}
    for batch, rates in found.items():
        print(f"batches of {batch:>2}: {middle[batch]:7.1f} requests/s  ({', '.join(f'{one:.1f}' for one in rates)})")
    print(f"ratio {middle[32] / middle[1]:.2f}")


if __name__ == "__main__":
    main()
