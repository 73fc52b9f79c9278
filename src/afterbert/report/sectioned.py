"""A page of sections, each with words, charts and a table: one form, written as HTML and as Markdown."""

from dataclasses import dataclass, replace
from pathlib import Path

from afterbert.base.markdown import in_markdown
from afterbert.report.chart import Chart
from afterbert.report.dots import DotChart
from afterbert.report.grid import Grid
from afterbert.report.pages import render, write_page


@dataclass(frozen=True)
class Link:
    """A cell that leads to another page beside this one."""

    text: str
    to: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Section:
    """A part of a page. `key`: of its charts, (number of a line's colour, what it is)."""

    title: str
    words: tuple[str, ...] = ()
    grid: Grid | None = None
    charts: tuple[Chart | None, ...] = ()
    dots: tuple[DotChart, ...] = ()
    key: tuple[tuple[int, str], ...] = ()
    code: str = ""


@dataclass(frozen=True)
class SectionedPage:
    """A page. lead: what matters most, in sentences; notice: what to beware of."""

    kicker: str
    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    notice: str = ""

    def html(self) -> str:
        sections = [replace(one, charts=tuple(c for c in one.charts if c)) for one in self.sections]
        return render("sectioned.html.jinja", page=self, title=self.title, sections=sections)

    def markdown(self) -> str:
        parts = [f"# {in_markdown(self.title)}", *(in_markdown(words) for words in self.lead)]
        parts += [f"**{in_markdown(self.notice)}**"] if self.notice else []
        for one in self.sections:
            parts += [f"## {in_markdown(one.title)}", *(in_markdown(words) for words in one.words)]
            parts += [f"`{one.code}`"] if one.code else []
            parts += [one.grid.table()] if one.grid else []
        return "\n\n".join(parts) + "\n"

    def write(self, out: Path, *, overwrite: bool = False) -> Path:
        """Writes the page, and its Markdown twin beside it. Raises UserError if that cannot be, and where something
        stands there that is not ours, unless `overwrite`."""
        return write_page(out, self.html(), markdown=self.markdown(), overwrite=overwrite)
