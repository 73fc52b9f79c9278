"""What a person sees: a console, safe text, progress bars on a terminal and plain lines elsewhere."""

import html
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table

from afterbert.base.destination import PAGE_MARK, check_file
from afterbert.base.runs import write_atomically
from afterbert.base.visible import visible, visible_line


class _Visible(RenderHook):
    """Every line that the console prints passes here: whatever would act on a terminal is shown as a sign."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(one) for one in renderables]


@dataclass(frozen=True)
class _Shown:
    """A renderable whose text cannot act."""

    inner: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self.inner)


console = Console(highlight=False, emoji=False, soft_wrap=True, width=None if os.isatty(1) else 140)
console.push_render_hook(_Visible())


def safe(text: str) -> str:
    """Returns a text from elsewhere with rich's markup switched off; its line ends stay.

    >>> safe("a\\x1b[red]")
    'a␛\\\\[red]'
    """
    return escape(visible(text))


class ProgressLines:
    """Progress as plain lines, at most one every few seconds: for logs, pipes and CI."""

    def __init__(self, every: float = 10.0):
        self.every = every
        self._last = 0.0

    def __call__(self, text: str, *, now: bool = False) -> None:
        moment = time.monotonic()
        if now or moment - self._last >= self.every:
            self._last = moment
            print(visible(text), flush=True)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
{mark}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{{stylesheet}} body {{{{ color: {{foreground}}; background: {{background}}; margin: 2em; }}}}</style></head>
<body><pre style="font-family: monospace; line-height: 1.5; white-space: pre-wrap"><code>{{code}}</code></pre>
</body></html>
"""


@contextmanager
def recorded(path: Path | None, *, title: str, overwrite: bool = False) -> Iterator[None]:
    """Records what the console prints inside, and writes it to a self-contained HTML page at `path`, if there is
    one. overwrite: also over a file that is no page of ours. Raises UserError."""
    if path is None:
        yield
        return
    check_file(path, mark=PAGE_MARK, overwrite=overwrite)
    console.record = True
    try:
        yield
        page = console.export_html(code_format=_PAGE.format(title=title, mark=PAGE_MARK), inline_styles=False)
        write_atomically(path, page)
    finally:
        console.record = False
    print(visible(str(path)))


class NotebookBar:
    """A bar in the output of a notebook's cell, drawn anew in its place."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html, self._place = HTML, display(HTML(""), display_id=True)
        self._last = 0.0

    @staticmethod
    def serves() -> bool:
        """Returns whether this process is the kernel of a notebook."""
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        return hasattr(shell, "kernel")

    def to(self, done: float, total: float, told: str) -> None:
        """Moves to `done` of `total`, with words beside the bar; at most five times a second."""
        moment = time.monotonic()
        if done >= total or moment - self._last >= 0.2:
            self._last = moment
            self._place.update(self._html(f'<progress max="{total}" value="{done}"></progress> {html.escape(told)}'))


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """Shows how far a piece of work has come: as a bar on a terminal and in a notebook, as a plain line now and then
    elsewhere. Use it in a `with` block, or close it."""

    def __init__(self, total: float, description: str, *, done: int = 0, unit: str = ""):
        """unit: what is counted one by one, such as `step`; where nothing is, the share is told."""
        self.total, self.description, self.unit = total, visible_line(description), unit  # a live bar passes no hook
        self.line, self._live = ProgressLines(), None
        self._in_notebook = NotebookBar() if NotebookBar.serves() else None
        if console.is_terminal and self._in_notebook is None:
            told = f"{{task.completed:,.0f}} of {{task.total:,.0f}} {unit}s" if unit else "{task.percentage:>3.0f}%"
            texts = [TextColumn(text) for text in ("{task.description}", told, "{task.fields[note]}")]
            times = [TimeElapsedColumn()] if unit else [TimeElapsedColumn(), TimeRemainingColumn()]
            self._live = Progress(texts[0], BarColumn(), *texts[1:], *times, console=console)
            self._task = self._live.add_task(self.description, total=total, completed=done, note="")
            self._live.start()

    @property
    def is_drawn(self) -> bool:
        """Whether there is a bar, and no lines."""
        return self._live is not None or self._in_notebook is not None

    def to(self, done: float, note: str = "", *, total: float | None = None) -> None:
        """Moves to `done` of `total`, with a short note beside the bar."""
        self.total, note = total or self.total, visible_line(note)
        if self._live is not None:
            self._live.update(self._task, completed=done, total=self.total, note=note)
        elif self._in_notebook is not None:
            self._in_notebook.to(done, self.total, f"{self.description}  {self._told(done)}  {note}")
        elif self.unit:
            self.line(f"{self._told(done)}  {note}", now=done >= self.total)
        else:
            self.line(f"{self.description} {self._told(done)}  {note}")

    def _told(self, done: float) -> str:
        if self.unit:
            return f"{self.unit} {done:.0f} of {self.total:.0f}"
        return f"{100 * done / self.total if self.total else 100:3.0f}%"

    def close(self) -> None:
        """Ends the bar; may be called twice."""
        if self._live is not None:
            self._live.stop()

    def __exit__(self, *_: object) -> None:
        self.close()


def table(*columns: str, title: str = "", **how: Any) -> Table:
    """Returns a table without lines; columns whose names begin with `>` are aligned to the right. how: further options
    of rich's table."""
    made = Table(box=None, header_style="bold", title=title, title_justify="left", **how)
    for name in columns:
        made.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    return made


def tell_notes(notes: Iterable[str]) -> None:
    """Prints what else there is to know, a line each."""
    for note in notes:
        console.print(f"note: {safe(note)}")
