"""Results that show themselves: a small table in a notebook, the same in text elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from afterbert.base.visible import visible_line


@dataclass(frozen=True)
class SmallTable:
    """A title, and rows of a name and a value in words."""

    title: str
    rows: Sequence[tuple[str, str]]

    def text(self) -> str:
        """Returns the table in plain text.

        >>> print(SmallTable("a run", [("steps", "20"), ("loss", "5.1")]).text())
        a run
          steps  20
          loss   5.1
        """
        width = max((len(name) for name, _ in self.rows), default=0)
        lines = [f"  {visible_line(name):<{width}}  {visible_line(value)}" for name, value in self.rows]
        return "\n".join([visible_line(self.title), *lines])

    def html(self) -> str:
        """Returns the table as a notebook shows it."""
        rows = "".join(f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>" for name, value in self.rows)
        return f"<table><caption>{_safe(self.title)}</caption>{rows}</table>"


class ShowsItself(ABC):
    """A result that a notebook, a prompt and `print` show as a small table."""

    @abstractmethod
    def table(self) -> SmallTable:
        """Returns the result in words: a title, and rows of a name and a value."""

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def _safe(text: str) -> str:
    return escape(visible_line(text))
