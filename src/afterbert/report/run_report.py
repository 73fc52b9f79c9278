"""The report of one pre-training run: report.html to look at, report.md with the numbers."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.markdown import in_markdown
from afterbert.base.run_files import RUN_FILES
from afterbert.base.tree import in_yaml
from afterbert.interop.auto_class import auto_class, is_own
from afterbert.report import figures, summary
from afterbert.report.curves import curves_of
from afterbert.report.gallery import drawn, hung
from afterbert.report.grid import Grid
from afterbert.report.pages import render, write_page
from afterbert.report.run_record import RunRecord, read_run
from afterbert.report.samples import filled_texts
from afterbert.report.statistics import statistics_of

_MOST_ROWS = 12


def write_report(run_folder: Path, out: Path | None = None, *, overwrite: bool = False) -> Path:
    """Writes the report of a run, and its Markdown twin beside it; gives the path of the HTML file.

    The run may be unfinished. `out` defaults to report.html in the run folder; where something stands that is no report
    of ours, it is replaced with `overwrite` alone. Raises UserError if the folder is no run folder, one of its files is
    broken, or the report cannot be written.
    """
    record = read_run(Path(run_folder))
    named = out is not None
    out = Path(out) if out is not None else record.folder / "report.html"
    if out.suffix not in (".html", ".htm"):
        raise UserError(f"{out}: a report is an .html file; name one, or leave it out")
    return write_page(out, run_html(record), markdown=run_markdown(record), overwrite=overwrite or not named)


def run_html(record: RunRecord) -> str:
    """Returns the whole page of a run."""
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
    """Returns the visible files and folders, a folder with the size of all in it. Links are not followed."""
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
    """Returns the lines of Python that load the model; empty if there is none yet."""
    if not (folder / "model" / "config.json").is_file():
        return ()
    cls = auto_class(folder / "model")
    # As a person would type it from here; never the whole path of a home folder in a file that is passed on.
    place = folder if not folder.is_absolute() else Path(folder.name)
    path = str((place if place.name else Path(folder.resolve().name)) / "model")
    return (
        *(["import afterbert"] if is_own(folder / "model") else []),
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


def run_markdown(record: RunRecord) -> str:
    """Returns the numbers of a run as a few Markdown tables."""
    title = record.setting("title") or record.name
    parts = [f"# {in_markdown(str(title))}", in_markdown(summary.described(record))]
    if standing := summary.standing(record):
        parts.append(f"**{in_markdown(standing)}**")
    found = statistics_of(record)
    masking = [
        *found.singles,
        *((f"{group.name}: {bar.name}", bar.value) for group in found.groups for bar in group.bars),
    ]
    parts += [_held_out(record), _training(record), _table("Masking", ("statistic", "value"), masking), _data(record)]
    languages = summary.languages_in_words(record)
    mixed = ("store", "rows", "planned: share, epochs", "realised: share, epochs")
    parts.append(_table("The mix of stores", mixed, summary.mix_in_words(record)))
    parts += [languages.markdown() if languages else "", _settings(record)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _held_out(record: RunRecord) -> str:
    headline = summary.headline_of(record)
    answered = summary.answers_in_words(record.measured.answered)
    if headline is None:
        return _table("Without fine-tuning", ("question", "right"), answered) if answered else ""
    when = "" if headline.at_step is None else f" at step {figures.count(headline.at_step)}"
    rows = [(f"{headline.measure}{when}", figures.percent(headline.model.value))]
    rows += [(f"baseline: {share.name}", figures.percent(share.value)) for share in headline.baselines]
    if headline.measure != "masked accuracy":
        return _table("Held-out text", ("measure", "value"), [*rows, *summary.own_in_words(record), *answered[1:]])
    others = {key: value for key, value in record.measured.measures.items() if key != summary.HEADLINE}
    rows += [*summary.in_words(others), *answered]
    return _table("Held-out text", ("measure", "value"), rows)


def _training(record: RunRecord) -> str:
    metrics = record.metrics
    rows = summary.facts_of(record)
    rows += [("last loss", figures.number(metrics.last("loss")))] if metrics.last("loss") is not None else []
    if len(metrics.not_finite):
        rows += [("steps whose loss or gradient was no finite number", figures.count(len(metrics.not_finite)))]
    return _table("Training", ("figure", "value"), rows)


def _data(record: RunRecord) -> str:
    tally = record.data.tally
    rows = [("documents read", figures.count(tally.read)), ("documents kept", figures.count(tally.kept))]
    rows += [(f"dropped: {figures.words(reason)}", figures.count(n)) for reason, n in tally.dropped.items()]
    rows += [(f"repaired: {figures.words(reason)}", figures.count(n)) for reason, n in tally.repaired.items()]
    for split, counted in record.data.splits.items():
        rows += [
            (f"{figures.words(split)}: {figures.words(key)}", figures.number(value))
            for key, value in counted.items()
            if isinstance(value, (int, float))
        ]
    return _table("Data", ("count", "value"), [row for row in rows if row[1] != "–"])


def _settings(record: RunRecord) -> str:
    rows = [(v.path, in_yaml(v.value), v.origin) for v in record.recipe if v.chooser == "command line"]
    return _table("Settings from the command line", ("setting", "value", "origin"), rows)


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    found = tuple(rows)
    return Grid(title, head, found).markdown() if found else ""
