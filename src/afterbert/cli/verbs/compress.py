"""`afterbert compress`: a trained model made smaller, every step measured."""

from pathlib import Path
from typing import Annotated

import typer

from afterbert.cli.options import Overwrite, plugins_in

PLACE = 410


def compress(
    model: Annotated[str, typer.Argument(help="A run or model folder; fine-tuned, where a task is to judge.")],
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with", "-w", help=f"A method, as layers:keep=4; in order: {plugins_in('compression.methods')}."
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Labelled rows: NAME:PATH, PATH, a task file or hub:NAME.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("smaller"),
    at_least: Annotated[str | None, typer.Option(help="Write nothing that keeps less of the quality: 98%.")] = None,
    target: Annotated[
        str | None, typer.Option(help="A goal instead of --with; combinations are tried: 4x faster, 10MB, -1 point.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="With --target: begin no further combination after this.")
    ] = None,
    as_: Annotated[str | None, typer.Option("--as", help="Which of the model's tasks, where it has several.")] = None,
    columns: Annotated[str | None, typer.Option(help="Which column is what: text=review,label=3.")] = None,
    split: Annotated[
        str | None, typer.Option(help="The rows that judge the model: dev if there is one, else test.")
    ] = None,
    no_controls: Annotated[
        bool, typer.Option("--no-controls", help="Leave out what takes as much away by chance.")
    ] = False,
    no_timing: Annotated[bool, typer.Option("--no-timing", help="Leave latencies out.")] = False,
    seed: Annotated[int, typer.Option(help="The seed of everything drawn at random.")] = 0,
    overwrite: Overwrite = False,
) -> int:
    """Make a trained model smaller by one method or several, and see what each costs.

    Every step is one row: parameters, bytes, FLOPs, latency beside the model as it was, quality with its interval, and
    the control that tells whether the method chose well. Methods and their settings: docs/compression.md. Called again
    after it was stopped, it goes on.

    Example: `afterbert compress runs/finetune-sst2-1a2b3c4d/seed-0 --task data/sst2 --with layers:keep=4`

    Example: `afterbert compress MODEL --task data/sst2 --with heads:0.3 --with neurons:0.5 --at-least 98%`
    """
    from afterbert.api.compressing import carry_out_compression
    from afterbert.api.terminal import console, safe
    from afterbert.cli.options import share_of
    from afterbert.workflows.compression import CompressRequest

    done = carry_out_compression(
        CompressRequest(
            model=model,
            methods=tuple(with_ or ()),
            out=out,
            task=task,
            answered_as=as_,
            columns=columns,
            split=split,
            target=target,
            minutes=minutes,
            at_least=None if at_least is None else share_of(at_least, "--at-least"),
            controls=not no_controls,
            timed=not no_timing,
            seed=seed,
            overwrite=overwrite,
        )
    )
    if done.model is None:
        for line in done.refusal:
            console.print(safe(line))
        return 1
    console.print(f"model:  {safe(str(done.model))}")
    console.print(f"report: {safe(str(done.model / 'report.html'))}")
    return 0
