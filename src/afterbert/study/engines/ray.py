"""Runs as tasks of a Ray cluster: the one that RAY_ADDRESS names or that runs here, or else this machine alone."""

import os
import socket
from itertools import count, islice
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.study.engines import LOOK_EVERY, Commands, Engine, Look, carried_out
from afterbert.workflows.observer import WorkObserver

_TRIES_AGAIN = 3  # where the machine of a run is lost


class Ray(Engine):
    """A run takes one core and, where the cluster has any, one GPU. A run whose machine is lost goes on elsewhere from
    its last checkpoint. Texts and the folder of runs lie under one path for all machines, and all have afterbert."""

    def __call__(self, commands: Commands, *, folder: Path, observer: WorkObserver, look: Look) -> bool:
        ray = from_extra("ray", "ray", needed_by="--on ray")
        if not ray.is_initialized():
            told = os.environ.get("RAY_ADDRESS", "")
            address = told or _begun_here()
            try:
                _ask(address)
                ray.init(log_to_driver=False, logging_level="error")
            except (OSError, RuntimeError, ValueError) as error:
                where = f"at {address} " if address else ""
                cure = "mend RAY_ADDRESS" if told else "`ray stop` and `ray start --head` begin one"
                said = str(error).strip().splitlines()[0]
                raise UserError(f"no Ray cluster answers {where}({said}); {cure}, or leave --on ray out") from None
        gpus = min(1, ray.cluster_resources().get("GPU", 0))
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_TRIES_AGAIN)(carried_out)
        left = (task.remote(list(words), 1, Path.cwd()) for words in commands)
        try:
            running = list(islice(left, self.jobs))
            number = count(1)
            while running:
                done, running = ray.wait(running, timeout=LOOK_EVERY)
                look()
                running += islice(left, len(done))
                for one in done:
                    observer.on_line(f"{next(number)} of {len(commands)}: {ray.get(one)}")
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise UserError(f"Ray lost a run: {str(error).strip().splitlines()[0]}; give the command again") from None
        finally:
            ray.shutdown()
        return True


def _begun_here() -> str:
    """The address that `ray start` left on this machine, where Ray looks too; it stays when a cluster dies."""
    file = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    return file.read_text().strip() if file.is_file() else ""


def _ask(address: str) -> None:
    """Whether anybody listens at HOST:PORT; Ray itself would try for minutes. Raises OSError, ValueError."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()
