"""Watching work: a live bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from afterbert.api.tables import drawn
from afterbert.api.terminal import ProgressBar, console, safe, tell_notes
from afterbert.workflows.observer import Advance, WorkObserver


class Watch(WorkObserver, AbstractContextManager["Watch"]):
    """Shows steps, tokens a second, loss and time left, held-out figures as lines that stay, and whatever else a
    workflow tells. To be used in a `with` block, which ends the bar."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None
        self._begun = (0, time.monotonic())

    def on_start(self, *, step: int, total_steps: int) -> None:
        self.close()
        self._begun = (step, time.monotonic())
        if step:
            self.on_note(f"goes on at step {step} of {total_steps}")
        self._bar = ProgressBar(total_steps, "training", done=step, unit="step")

    def on_step(self, record: Mapping[str, Any]) -> None:
        assert self._bar is not None, "training has begun"
        step, (first, since) = int(record["step"]), self._begun
        seconds_a_step = (time.monotonic() - since) / max(step - first, 1)
        left = _spoken(seconds_a_step * (self._bar.total - step))
        self._bar.to(step, f"loss {record['loss']:.3f}  {record['tokens_per_second']:,.0f} tokens/s  {left} left")

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        figures = {name: value for name, value in record["figures"].items() if isinstance(value, (int, float))}
        if figures:
            said = "  ".join(f"{name.replace('_', ' ')} {_figure(name, value)}" for name, value in figures.items())
            console.print(safe(f"held out, step {record['step']}:  {said}"))

    def on_checkpoint(self, *, step: int, path: Path) -> None:
        if self._bar is not None and not self._bar.is_drawn:
            self._bar.line(f"checkpoint at step {step}")

    def on_note(self, text: str) -> None:
        tell_notes([text])

    @contextmanager
    def working(self, doing: str) -> Iterator[Advance]:
        self.close()
        with ProgressBar(1.0, doing) as progress:
            yield lambda done, total, phase: progress.to(done, phase, total=total)

    def on_line(self, text: str) -> None:
        for line in text.splitlines():
            console.print(safe(line))

    def on_value(self, value: object, title: str = "") -> None:
        console.print(drawn(value, title))

    def close(self) -> None:
        """Ends the bar; may be called twice."""
        if self._bar is not None:
            self._bar.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _figure(name: str, value: float) -> str:
    return f"{value:.1%}" if "accuracy" in name else f"{value:.3f}"


def _spoken(seconds: float) -> str:
    """
    >>> _spoken(42), _spoken(600), _spoken(7300)
    ('42 s', '10 min', '2 h 02 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
