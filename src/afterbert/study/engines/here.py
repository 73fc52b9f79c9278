"""Several runs at once on this machine, each a process with its share of the cores."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from afterbert.study.engines import Engine, carried_out
from afterbert.workflows.observer import WorkObserver


class Here(Engine):
    """One run for each core where `jobs` is None: models of a study are small, and threads serve them badly."""

    def __call__(self, commands: Sequence[Sequence[str]], *, folder: Path, observer: WorkObserver) -> bool:
        cores = os.cpu_count() or 1
        jobs = self.jobs or cores
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(carried_out, words, max(1, cores // jobs)) for words in commands]
            try:
                for number, one in enumerate(as_completed(waiting), start=1):
                    observer.on_line(f"{number} of {len(commands)}: {one.result()}")
            finally:
                pool.shutdown(cancel_futures=True)
        return True
