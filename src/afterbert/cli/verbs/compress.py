"""`afterbert compress`: a trained model made smaller, every step measured."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import also_takes, option, plugins_in

PLACE = 410

# By the names of `CompressRequest`.
_REQUEST = {
    "task": option(str | None, "Labelled rows: NAME:PATH, PATH, a task file or hub:NAME.", "--task", "-t"),
    "out": option(Path, "The folder to write.", "--out", "-o", default=Path("smaller")),
    "target": option(
        str | None, "A goal instead of --with, for which combinations are tried: 4x faster, 10MB, -1 point."
    ),
    "minutes": option(float | None, "With --target: begin no further combination after this time.", min=0),
    "answered_as": option(str | None, "Which of the model's tasks, if it has several.", "--as"),
    "columns": option(str | None, "Which column is what: text=review,label=3."),
    "split": option(str | None, "The rows that judge the model: dev if there is one, else test."),
    "seed": option(int, "The seed of everything drawn at random.", default=0),
    "overwrite": option(bool, "Also replace what afterbert did not make.", "--overwrite", default=False),
}


@also_takes(_REQUEST)
def compress(
    model: Annotated[str, typer.Argument(help="A run or model folder; it must be fine-tuned for --task.")],
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with", "-w", help=f"A method, as layers:keep=4; in order: {plugins_in('compression.methods')}."
        ),
    ] = None,
    at_least: Annotated[
        str | None, typer.Option(help="Write nothing if less of the quality is kept than this: 98%.")
    ] = None,
    no_controls: Annotated[
        bool, typer.Option("--no-controls", help="Do not measure the control, which removes as much by chance.")
    ] = False,
    no_timing: Annotated[bool, typer.Option("--no-timing", help="Leave latencies out.")] = False,
    **given: Any,
) -> int:
    """Make a trained model smaller by one method or several, and see what each costs.

    Each step gets a row: parameters, bytes, FLOPs, latency beside the original model, quality with its interval, and
    the control that tells whether the method chose well. Methods and their settings: docs/compression.md. A command
    that was stopped goes on when it is given again.

    Example: `afterbert compress runs/finetune-sst2-1a2b3c4d/seed-0 --task data/sst2 --with layers:keep=4`

    Example: `afterbert compress MODEL --task data/sst2 --with heads:0.3 --with neurons:0.5 --at-least 98%`
    """
    from afterbert.api.compressing import carry_out_compression
    from afterbert.api.terminal import console, safe
    from afterbert.cli.options import share_of
    from afterbert.workflows.compression import CompressRequest

    least = None if at_least is None else share_of(at_least, "--at-least")
    judged: dict[str, Any] = {"at_least": least, "controls": not no_controls, "timed": not no_timing}
    done = carry_out_compression(CompressRequest(model=model, methods=tuple(with_ or ()), **judged, **given))
    if done.model is None:
        for line in done.refusal:
            console.print(safe(line))
        return 1
    console.print(f"model:  {safe(str(done.model))}")
    console.print(f"report: {safe(str(done.model / 'report.html'))}")
    return 0
