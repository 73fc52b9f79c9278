"""Who is told how a piece of work goes: a terminal, a notebook, a log, or nobody."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from afterbert.training.observers import Observer

Advance = Callable[[float, float, str], None]
"""Called with how much is done, of how much, and a few words on what is being done now."""


class WorkObserver(Observer):
    """Told by workflows what a person may want to see before the work is over; here nobody looks.

    Workflows return what they come to and print nothing. The trainer's own observer has the methods about steps,
    evaluations, checkpoints and notes. An observer may be given to several workflows, one after the other.
    """

    @contextmanager
    def working(self, doing: str) -> Iterator[Advance]:
        """Opens a piece of work that has a beginning and an end, such as "preparing"; what it gives is called as the
        work goes on."""
        yield lambda done, total, phase: None

    def on_line(self, text: str) -> None:
        """Is called with a line, or a small table of lines, for whoever asked for the work."""

    def on_value(self, value: object, title: str = "") -> None:
        """Is called with a value that has a form of its own, such as the mix of several stores; whoever shows it knows
        its class."""


#: For work that nobody looks at.
NOBODY = WorkObserver()
