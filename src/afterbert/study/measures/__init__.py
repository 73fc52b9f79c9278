"""What runs are compared by: one measure a file, read from what a run left behind."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from afterbert.study.made import FinishedRun, Measurement

Unit = Literal["share", "number", "bytes"]


class Measure(ABC):
    """A figure of a finished run. Its subclasses say what it is called, in which unit it comes, and whether more is
    better; `favours` names what it favours by construction, whatever the study."""

    title: ClassVar[str]
    unit: ClassVar[Unit] = "share"
    higher_is_better: ClassVar[bool] = True
    favours: ClassVar[str] = ""
    is_cost: ClassVar[bool] = False
    """Whether it tells what a run costs rather than what it learned."""
    asked_by: ClassVar[str] = ""
    """The option of `study` without which no run is asked it."""

    @abstractmethod
    def __call__(self, run: FinishedRun) -> Measurement | None:
        """The measurement; None if the run was not asked this."""
