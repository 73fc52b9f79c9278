"""The report of one pre-training run: report.html to look at, report.md with the numbers."""

from pathlib import Path

from afterbert.base.destination import PAGE_MARK, check_file
from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.report import summary
from afterbert.report.curves import curves_of
from afterbert.report.files import entries_of, loading
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
        statistics=statistics_of(record),
        curves=curves_of(record),
        loading=loading(record.folder),
        entries=entries_of(record.folder),
    )
