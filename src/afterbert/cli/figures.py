"""What a run came to, as a terminal shows it."""

from collections.abc import Mapping
from typing import Any

from afterbert.api.run import Run, spoken_figures
from afterbert.api.terminal import console, safe
from afterbert.report.run_record import read_run
from afterbert.report.summary import headline_of


def print_run(run: Run, *, processes: int = 1) -> None:
    """Prints the closing figures of a finished run and its folder, or how to go on with a stopped one."""
    if not run.is_finished:
        console.print(f"stopped at step {run.step}, everything saved; go on with:")
        console.print(f"  afterbert pretrain --resume {run.path}")
        if processes > 1:
            console.print("  (by torchrun or srun as before, by one process, or by any number of them)")
        return
    if run.figures:
        print_figures(run.figures)
    headline = headline_of(read_run(run.path))
    if headline is not None and headline.verdict:
        console.print(safe(headline.verdict))
    console.print(f"model:  {run.model}")
    console.print(f"report: {run.report}")


def print_figures(evaluation: Mapping[str, Any]) -> None:
    """Prints the closing figures beside what counting alone would reach."""
    if not evaluation.get("measures") and not evaluation.get("objective"):
        console.print(
            "no held-out figures: no document is held out, or none asks anything; give more or shorter documents"
        )
    for name, said in spoken_figures(evaluation):
        console.print(safe(f"{name}: {said}"))
