"""`afterbert study`: an idea tested under control on your own text."""

from pathlib import Path
from typing import Annotated, Any

import typer

from afterbert.cli.options import also_takes, option

PLACE = 230

# By the names of `StudyRequest`.
_REQUEST = {
    "texts": option(list[str] | None, "Files, folders, or a store that `prepare` made.", "--text", "-x"),
    "scale": option(str, "How large the runs are: smoke, minutes, hours or days.", default="minutes"),
    "tasks": option(list[str] | None, "Labelled rows that each run is fine-tuned on: NAME:PATH.", "--task", "-t"),
    "pairs": option(list[str] | None, "Minimal pairs in BLiMP's layout that each run is asked.", "--pairs"),
    "parallel": option(
        list[str] | None,
        "Translations for each run to find: a file with text, tab, translation on each line.",
        "--parallel",
    ),
    "seeds": option(int | None, "How many seeds; as many as the scale says when not given.", min=1),
    "budget": option(str | None, "A time for the whole study (2h), to which its runs are fitted.", "--budget", "-b"),
    "out": option(Path, "The folder in which runs are made and found.", "--out", "-o", default=Path("runs")),
}


@also_takes(_REQUEST)
def study(
    words: Annotated[
        list[str], typer.Argument(help="NAME or FILE.yaml; or: list | status [NAME] | new NAME A B | report [FOLDER]")
    ],
    question: Annotated[str, typer.Option(help="With `new`: the question in a sentence.")] = "",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", help="How many runs at once, each a process with its share of the cores.", min=1),
    ] = None,
    on: Annotated[
        str, typer.Option(help="What carries out the runs: here, ray (a cluster) or slurm (a script).")
    ] = "here",
    only: Annotated[str | None, typer.Option(hidden=True, help="Carry out only the run in this folder.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the arms against each other, say what would be run, and stop.")
    ] = False,
    **given: Any,
) -> int:
    """Test an idea under control: arms that differ only in what they declare, several seeds, a verdict by a rule.

    Runs are shared between studies, and the same command goes on where it stopped. `list` shows the studies of
    afterbert, `status` how far they are; `report` writes all pages and an index anew; `new` writes a study file.

    Examples:

    `afterbert study masking-unit --text my_texts/ --scale minutes`

    `afterbert study new mine bert-mlm roberta --question "Does RoBERTa's recipe serve my text?"`
    """
    from afterbert.cli import studying
    from afterbert.study.request import StudyRequest

    name, *rest = words
    if name == "list":
        return studying.show_list()
    if name == "status":
        return studying.show_status(given["out"], rest[0] if rest else None)
    if name == "report":
        return studying.write_pages(given["out"], [Path(folder) for folder in rest])
    if name == "new":
        return studying.write_new(rest, question)
    given |= {several: tuple(given[several] or ()) for several in ("texts", "tasks", "pairs", "parallel")}
    request = StudyRequest(name, **given)
    return studying.carry_out(request, rest, dry_run=dry_run, jobs=jobs, engine=on, only=only)
