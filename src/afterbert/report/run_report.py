"""The report of one pre-training run: report.html to look at, report.md with the numbers."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.destination import PAGE_MARK, check_file
from afterbert.base.errors import UserError
from afterbert.base.run_files import RUN_FILES
from afterbert.base.runs import write_atomically
from afterbert.report import figures, summary
from afterbert.report.curves import curves_of
from afterbert.report.gallery import drawn, hung
from afterbert.report.pages import render
from afterbert.report.run_markdown import run_markdown
from afterbert.report.run_record import RunRecord, read_run
from afterbert.report.samples import filled_texts
from afterbert.report.statistics import statistics_of

_MOST_ROWS = 12


def write_report(run_folder: Path, out: Path | None = None, *, overwrite: bool = False) -> Path:
    """Writes the report of a run, and its Markdown twin beside it; gives the path of the HTML file.

    The run may be unfinished. `out` defaults to report.html in the run folder; where something stands that is no report
    of ours, it is replaced with `overwrite` alone. Raises UserError where the
    folder is no run folder, one of its files is broken, or the report cannot be written.
    """
    record = read_run(Path(run_folder))
    named = out is not None
    out = Path(out) if out is not None else record.folder / "report.html"
    if out.suffix not in (".html", ".htm"):
        raise UserError(f"{out}: a report is an .html file; name one, or leave it out")
    markdown, twin = run_markdown(record), out.with_suffix(".md")
    if named:
        if not out.exists():
            check_file(twin, mark=markdown.partition("\n")[0], overwrite=overwrite)
        check_file(out, mark=PAGE_MARK, overwrite=overwrite)
    try:
        write_atomically(twin, markdown)
        write_atomically(out, run_html(record))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); name another place with --out") from error
    return out


def run_html(record: RunRecord) -> str:
    """The whole page."""
    title = record.setting("title")
    return render(
        "run.html.jinja",
        record=record,
        title=str(title) if title else record.name,
        description=summary.described(record),
        standing=summary.standing(record),
        facts=summary.facts_of(record),
        headline=summary.headline_of(record),
        measures=summary.in_words(record.measured.measures),
        answered=summary.answers_in_words(record.measured.answered),
        counts=summary.counts_in_words(record.measured.counts),
        objective=summary.own_in_words(record),
        filled=filled_texts(record.samples.filled),
        corrupted=[drawn(row) for row in record.samples.corrupted[:_MOST_ROWS]],
        gallery_text=record.gallery.text,
        own_task=[one for one in hung(record.gallery) if one.title == record.setting("title")],
        other_tasks=[one for one in hung(record.gallery) if one.title != record.setting("title")],
        mix=summary.mix_in_words(record),
        languages=summary.languages_in_words(record),
        statistics=statistics_of(record),
        curves=curves_of(record),
        loading=loading(record.folder),
        entries=entries_of(record.folder),
    )


_MOST_ENTRIES = 10_000
_OURS = ("report.html", "report.md")


@dataclass(frozen=True)
class Entry:
    """A file or folder of the run."""

    name: str
    size: str
    purpose: str


def entries_of(folder: Path) -> tuple[Entry, ...]:
    """The visible files and folders, a folder with the size of all in it. Links are not followed."""
    with os.scandir(folder) as found:
        entries = sorted((e for e in found if not e.name.startswith(".") and e.name not in _OURS), key=lambda e: e.name)
    return tuple(
        Entry(
            entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""),
            figures.size(_bytes(entry)),
            RUN_FILES[entry.name].purpose if entry.name in RUN_FILES else "",
        )
        for entry in entries[:_MOST_ENTRIES]
        if not entry.is_symlink()
    )


def loading(folder: Path) -> tuple[str, ...]:
    """Three lines of Python that load the model; empty where there is none yet."""
    config = folder / "model" / "config.json"
    try:
        architectures = json.loads(config.read_bytes()).get("architectures") or [""]
        head = str(architectures[0]).rpartition("For")[2]
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return ()
    cls = f"AutoModelFor{head}" if head in ("MaskedLM", "CausalLM") else "AutoModel"
    # As a person would type it from here; never the whole path of a home folder in a file that is passed on.
    place = folder if not folder.is_absolute() else Path(folder.name)
    path = str((place if place.name else Path(folder.resolve().name)) / "model")
    return (
        f"from transformers import {cls}, AutoTokenizer",
        f"tokenizer = AutoTokenizer.from_pretrained({path!r})",
        f"model = {cls}.from_pretrained({path!r})",
    )


def _bytes(entry: os.DirEntry[str]) -> int:
    if not entry.is_dir(follow_symlinks=False):
        return entry.stat(follow_symlinks=False).st_size
    total, seen = 0, 0
    for where, _, names in os.walk(entry.path, followlinks=False):
        for name in names:
            seen += 1
            total += os.lstat(os.path.join(where, name)).st_size
        if seen > _MOST_ENTRIES:
            break
    return total
