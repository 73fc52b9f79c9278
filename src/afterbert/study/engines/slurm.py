"""Runs as an array of Slurm jobs: a script is written, and whoever asked for it submits it."""

import shlex
import sys
from pathlib import Path

from afterbert.base.runs import write_atomically
from afterbert.study.engines import Commands, Engine, Look
from afterbert.workflows.observer import WorkObserver

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=afterbert-study
#SBATCH --array=0-{last}{limit}
#SBATCH --output={folder}/slurm-%a.log
# Each job carries out the command of its index; a job that is started again goes on. Options of your cluster (time,
# account, GPU) are given to sbatch: sbatch --time=1:00:00 {folder}/runs.slurm
commands=(
{commands}
)
cd {here} && exec bash -c "${{commands[$SLURM_ARRAY_TASK_ID]}}"
"""


class Slurm(Engine):
    """Writes `runs.slurm` in the study's folder; the same study command afterwards goes on with what came of it."""

    def __call__(self, commands: Commands, *, folder: Path, observer: WorkObserver, look: Look) -> bool:
        told = [shlex.join([sys.executable, "-m", "afterbert", *words]) for words in commands]
        script = _SCRIPT.format(
            last=len(commands) - 1,
            limit=f"%{self.jobs}" if self.jobs else "",
            folder=shlex.quote(str(folder.resolve())),
            here=shlex.quote(str(Path.cwd())),
            commands="\n".join(map(shlex.quote, told)),
        )
        write_atomically(folder / "runs.slurm", script)
        path, count = folder / "runs.slurm", len(commands)
        observer.on_line(f"submit it: sbatch {path}; when its {count} jobs are done, give this same command again")
        return False
