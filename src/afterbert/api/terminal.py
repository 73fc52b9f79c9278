"""What a person sees: a console, safe text, progress bars on a terminal and plain lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment

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


console = Console(highlight=False, soft_wrap=True, width=None if os.isatty(1) else 140)
console.push_render_hook(_Visible())


def safe(text: str) -> str:
    """Text from a stranger, with rich's markup switched off; its line ends stay.

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


@contextmanager
def bar(total: float, description: str) -> Iterator[ProgressBar]:
    """A progress bar to advance; on anything but a terminal, plain lines."""
    if not console.is_terminal:
        lines = ProgressLines()
        yield ProgressBar(total, description, lines=lines)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield ProgressBar(total, description, progress=progress)


class ProgressBar:
    """How far a piece of work has come."""

    def __init__(
        self, total: float, description: str, *, progress: Progress | None = None, lines: ProgressLines | None = None
    ):
        self.total, self.description = total, visible_line(description)  # a live bar passes no hook
        self._progress, self._lines = progress, lines
        self._task: TaskID | None = progress.add_task(self.description, total=total, note="") if progress else None

    def to(self, done: float, note: str = "", *, total: float | None = None) -> None:
        """Moves to `done` of `total`, with a short note beside the bar."""
        self.total, note = total or self.total, visible_line(note)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=self.total, note=note)
        elif self._lines is not None:
            share = 100 * done / self.total if self.total else 100
            self._lines(f"{self.description} {share:3.0f}%  {note}")
