"""`afterbert study`: an idea tested under control on your own text."""

from pathlib import Path
from typing import Annotated

import typer

PLACE = 230


def study(
    words: Annotated[
        list[str], typer.Argument(help="NAME or FILE.yaml; or: list | status [NAME] | new NAME A B | report [FOLDER]")
    ],
    text: Annotated[
        list[str] | None, typer.Option("--text", "-x", help="Files, folders, or a store that `prepare` made.")
    ] = None,
    scale: Annotated[str, typer.Option(help="smoke, minutes, hours or days.")] = "minutes",
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Labelled rows that each run is fine-tuned on: NAME:PATH.")
    ] = None,
    pairs: Annotated[list[str] | None, typer.Option("--pairs", help="Minimal pairs, BLiMP's layout.")] = None,
    parallel: Annotated[
        list[str] | None, typer.Option("--parallel", help="Translations to be found: a table, a tab between.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many; the scale's where not given.", min=1)] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="A time for the whole study (2h): its runs are fitted to it.")
    ] = None,
    question: Annotated[str, typer.Option(help="Of `new`: the question in a sentence.")] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Where runs are made and found.")] = Path("runs"),
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", help="So many runs at once, each a process with its cores.", min=1)
    ] = None,
    on: Annotated[
        str, typer.Option(help="What carries out the runs: here, ray (a cluster) or slurm (a script).")
    ] = "here",
    only: Annotated[str | None, typer.Option(hidden=True, help="Carry out the run in this folder alone.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the arms against each other, say what would be run, and stop.")
    ] = False,
) -> int:
    """Test an idea under control: arms that differ in what they declare alone, several seeds, a verdict by a rule.

    Runs are shared between studies, and the same command goes on where it stopped. `list` shows the studies that come
    along, `status` how far they are, `report` writes pages anew and an index over all, `new` a study file of your own.

    Examples:

    `afterbert study masking-unit --text my_texts/ --scale minutes`

    `afterbert study new mine bert-mlm roberta --question "Does RoBERTa's recipe serve my text?"`
    """
    from afterbert.cli import studying
    from afterbert.study.plan import StudyRequest

    name, *rest = words
    if name == "list":
        return studying.show_list()
    if name == "status":
        return studying.show_status(out, rest[0] if rest else None)
    if name == "report":
        return studying.write_pages(out, [Path(folder) for folder in rest])
    if name == "new":
        return studying.write_new(rest, question)
    asked = tuple(task or ()), tuple(pairs or ()), tuple(parallel or ())
    request = StudyRequest(name, tuple(text or ()), scale, out, *asked, seeds, budget)
    return studying.carry_out(request, rest, dry_run=dry_run, jobs=jobs, engine=on, only=only)
