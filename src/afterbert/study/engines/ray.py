"""Runs as tasks of a Ray cluster, whose machines share a file system and have afterbert installed."""

import os
from collections.abc import Sequence
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.study.engines import Engine, carried_out
from afterbert.workflows.observer import WorkObserver


class OnRay(Engine):
    """The cluster is that of RAY_ADDRESS, or one on this machine. A task takes a core and, where the machine it was
    asked from has a GPU, a GPU; `jobs` divides the cluster's cores between so many."""

    def __call__(self, commands: Sequence[Sequence[str]], *, folder: Path, observer: WorkObserver) -> bool:
        try:
            import ray
        except ImportError as error:
            raise UserError("--on ray needs the package ray; pip install 'afterbert[ray]'") from error
        import torch

        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False)
        cores = int(ray.cluster_resources().get("CPU", 1))
        threads = max(1, cores // self.jobs) if self.jobs else 1
        gpus = 1 if torch.cuda.is_available() else 0
        place, here = os.environ.get("PYTHONPATH", ""), str(Path.cwd())

        def task(words: Sequence[str]) -> str:
            os.chdir(here)
            os.environ["PYTHONPATH"] = place
            return carried_out(words, threads)

        remote = ray.remote(num_cpus=threads, num_gpus=gpus)(task)
        waiting = [remote.remote(list(words)) for words in commands]
        while waiting:
            done, waiting = ray.wait(waiting)
            try:
                observer.on_line(f"{len(commands) - len(waiting)} of {len(commands)}: {ray.get(done[0])}")
            except ray.exceptions.RayTaskError as error:
                raise UserError(str(error.cause)) from error
        return True
