"""Which of several processes this is, as the launcher says in the environment: torchrun's words, or Slurm's.

torchrun: "Environment Variables" of torch's elastic launcher. Slurm: srun(1), "OUTPUT ENVIRONMENT VARIABLES". Only
a job step has SLURM_STEP_NUM_TASKS: a batch script also has the numbers of its job, but is one process.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from afterbert.base.errors import UserError

_FIRST_PORT, _PORTS = 20_000, 20_000  # one of these for a job that names none


@dataclass(frozen=True)
class Launch:
    """Process `rank` of `size`, `local_rank` of its machine; all meet at `address`:`port`."""

    rank: int
    size: int
    local_rank: int
    address: str
    port: int
    attempt: int = 0  # how often the launcher has started all of them anew


def launched(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Reads what a launcher has set; None for a process on its own. Raises UserError for numbers that make no sense.

    >>> launched({})
    >>> launched({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "7"})
    Launch(rank=1, size=2, local_rank=1, address='a', port=7, attempt=0)
    """
    if "WORLD_SIZE" in environment and "RANK" in environment:
        launch = _by_torchrun(environment)
    elif "SLURM_STEP_NUM_TASKS" in environment and "SLURM_PROCID" in environment:
        launch = _by_slurm(environment)
    else:
        return None
    if not 0 <= launch.rank < launch.size:
        raise UserError(
            f"the launcher says this is process {launch.rank} of {launch.size}; numbers run from 0, "
            "start all with torchrun or srun"
        )
    return launch if launch.size > 1 else None


def _by_torchrun(environment: Mapping[str, str]) -> Launch:
    rank = _number(environment, "RANK")
    return Launch(
        rank=rank,
        size=_number(environment, "WORLD_SIZE"),
        local_rank=_number(environment, "LOCAL_RANK", rank),
        address=environment.get("MASTER_ADDR", "127.0.0.1"),
        port=_number(environment, "MASTER_PORT"),
        attempt=_number(environment, "TORCHELASTIC_RESTART_COUNT", 0),
    )


def _by_slurm(environment: Mapping[str, str]) -> Launch:
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "127.0.0.1")
    job, step = _number(environment, "SLURM_JOB_ID", 0), _number(environment, "SLURM_STEP_ID", 0)
    return Launch(
        rank=_number(environment, "SLURM_PROCID"),
        size=_number(environment, "SLURM_STEP_NUM_TASKS"),
        local_rank=0 if _has_its_own_gpu(environment) else _number(environment, "SLURM_LOCALID", 0),
        address=environment.get("MASTER_ADDR") or first_host(nodes),
        port=_number(environment, "MASTER_PORT", _FIRST_PORT + (job * 7 + step) % _PORTS),
    )


def first_host(nodes: str) -> str:
    """Returns the first name of a list as Slurm writes it.

    >>> first_host("gpu[003-007,9],cpu1"), first_host("a-1,b-2"), first_host("rack[1-2]n[05,07]")
    ('gpu003', 'a-1', 'rack1n05')
    """
    return re.sub(r"\[([^],-]+)[^]]*\]", r"\1", nodes).split(",")[0]


def _has_its_own_gpu(environment: Mapping[str, str]) -> bool:
    """Whether Slurm shows each task one GPU only (--gpus-per-task), which is then number 0 for each."""
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    return bool(visible) and "," not in visible


def _number(environment: Mapping[str, str], name: str, otherwise: int | None = None) -> int:
    found = environment.get(name)
    if found is None and otherwise is not None:
        return otherwise
    try:
        return int(found or "")
    except ValueError as error:
        raise UserError(
            f"the environment's {name} is {found!r}, not a number; start all processes with torchrun or srun"
        ) from error
