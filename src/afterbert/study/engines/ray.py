"""Runs as tasks of a Ray cluster: the one that RAY_ADDRESS names or that runs here, or else this machine alone."""

import os
import socket
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.study.engines import Engine, carried_out
from afterbert.workflows.observer import WorkObserver

_TRIES_AGAIN = 3  # where the machine of a run is lost


class Ray(Engine):
    """A run takes one core and, where the cluster has any, one GPU. A run whose machine is lost goes on elsewhere from
    its last checkpoint. Texts and the folder of runs lie under one path for all machines, and all have afterbert."""

    def __call__(self, commands: Sequence[Sequence[str]], *, folder: Path, observer: WorkObserver) -> bool:
        ray = from_extra("ray", "ray", needed_by="--on ray")
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS", "")
            try:
                _ask(address)
                ray.init(log_to_driver=False, logging_level="error")
            except (OSError, RuntimeError, ValueError) as error:
                said = str(error).strip().splitlines()[0]
                cure = (
                    f"at {address} ({said}); mend RAY_ADDRESS"
                    if address
                    else f"({said}); `ray start --head` begins one"
                )
                raise UserError(f"no Ray cluster answers {cure}, or leave --on ray out") from None
        gpus = min(1, ray.cluster_resources().get("GPU", 0))
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_TRIES_AGAIN)(carried_out)
        left = (task.remote(list(words), 1, Path.cwd()) for words in commands)
        try:
            running = list(islice(left, self.jobs))
            for number in range(1, len(commands) + 1):
                (done,), running = ray.wait(running)
                running += islice(left, 1)
                observer.on_line(f"{number} of {len(commands)}: {ray.get(done)}")
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise UserError(f"Ray lost a run: {str(error).strip().splitlines()[0]}; give the command again") from None
        finally:
            ray.shutdown()
        return True


def _ask(address: str) -> None:
    """Whether anybody listens at HOST:PORT; Ray itself would try for minutes. Raises OSError, ValueError."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()
