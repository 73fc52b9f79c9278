"""What a run came to, as a terminal shows it."""

from collections.abc import Mapping
from typing import Any

from afterbert.api.run import Run
from afterbert.api.terminal import console, safe
from afterbert.probes.figure import Figure
from afterbert.report.run_record import read_run
from afterbert.report.summary import headline_of


def print_run(run: Run, *, processes: int = 1) -> None:
    """The closing figures of a finished run and where it lies; of a stopped one how to go on."""
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
    """The closing figures, with what counting alone would reach beside them."""
    measures, baselines = evaluation.get("measures", {}), evaluation.get("baselines", {})
    if not measures and not evaluation.get("objective"):
        console.print("no held-out figures: the texts left no document to hold out; give more or shorter documents")
    if "masked_accuracy" in measures:
        by = f", by {evaluation['asked']}" if evaluation.get("asked") else ""
        console.print(f"held-out masked accuracy{by}: [bold]{measures['masked_accuracy']:.1%}[/bold]")
        for name, value in baselines.items():
            console.print(f"  guessing by the {name.replace('_', ' ')}: {value:.1%}")
        console.print(f"  bits per byte: {measures['bits_per_byte']:.3f}{_loss(evaluation)}")
        for language, found in evaluation.get("languages", {}).items():
            told = f"bits per byte {found['bits_per_byte']:.3f}, masked accuracy {found['masked_accuracy']:.1%}"
            console.print(f"  in {safe(language or 'no language told')}: {told}")
    else:
        for line in evaluation.get("own", []):
            console.print(f"held out, {safe(line)}")
    shared = [evaluation["shared"]] if evaluation.get("shared") else []
    for figure in [*shared, *evaluation.get("without_training", [])]:
        console.print(safe(str(Figure(**figure))))


def _loss(evaluation: Mapping[str, Any]) -> str:
    """The held-out loss that training told step by step, with its terms where it is a sum of several; of a model that
    is asked later, whose own question is not known, what the fixed question costs."""
    own, lines = evaluation.get("objective", {}).get("loss"), evaluation.get("own", [])
    if lines and lines[0].startswith("weighted sum"):
        return f"\n  {safe(lines[0])}"
    if own is not None:
        return f"   loss: {own:.3f}"
    return f"   nats per masked piece: {evaluation['measures']['loss']:.3f}"
