"""A table of a report."""

from dataclasses import dataclass
from typing import Any

from afterbert.base.markdown import in_markdown


@dataclass(frozen=True)
class Grid:
    """A table, its cells as they are printed."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    heat: tuple[tuple[float | None, ...], ...] = ()
    """How strongly each cell is coloured, 0 to 1; None for not at all."""

    def markdown(self) -> str:
        """Returns title and table as Markdown."""
        return f"## {in_markdown(self.title)}\n\n{self.table()}"

    def table(self) -> str:
        """Returns the table as Markdown, without its title."""
        lines = [f"| {' | '.join(in_markdown(str(one)) for one in row)} |" for row in (self.head, *self.rows)]
        return "\n".join([lines[0], "|" + " --- |" * len(self.head), *lines[1:]])
