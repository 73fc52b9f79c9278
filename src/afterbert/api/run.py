"""A pre-training run as Python holds it: its folder, its figures, its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from afterbert.api.shown import ShowsItself, SmallTable
from afterbert.base.runs import RunFolder
from afterbert.base.sealed import read_sealed
from afterbert.probes.figure import Figure


@dataclass(frozen=True, repr=False)
class Run(ShowsItself):
    """The result of `pretrain`. It stands for its folder wherever a path is wanted, as in `ab.load(run)`."""

    path: Path
    """The run's folder."""
    state: str
    """`finished`, or `preempted` if a signal stopped it; the same call goes on."""
    step: int
    """The last step that was made."""
    exit_code: int = 0
    """0, or as shells report the signal that stopped it."""

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def is_finished(self) -> bool:
        """Whether it came to the end of its budget."""
        return self.state == "finished"

    @property
    def folder(self) -> RunFolder:
        """The files of the run."""
        return RunFolder(self.path)

    @property
    def model(self) -> Path:
        """The folder of the model, in Hugging Face's layout."""
        return self.folder.model

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.path / "report.html"

    @cached_property
    def figures(self) -> Mapping[str, Any]:
        """The closing figures: `measures`, `baselines`, `counts`, `objective`, `without_training`; empty before the
        end."""
        path = self.path / "evaluation.json"
        return read_sealed(path, remedy="restore it from a copy", allows_nan=True) if path.is_file() else {}

    def table(self) -> SmallTable:
        rows = [("state", f"{self.state}, step {self.step:,}"), *spoken_figures(self.figures)]
        if self.is_finished:
            rows += [("model", str(self.model)), ("report", str(self.report))]
        return SmallTable(f"run {self.path}", rows)


def spoken_figures(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns closing figures in words, each followed by what counting alone would reach."""
    measures, found = evaluation.get("measures", {}), []
    if "masked_accuracy" in measures:
        by = f", by {evaluation['asked']}" if evaluation.get("asked") else ""
        of = f" of {asked:,.0f}" if (asked := evaluation.get("counts", {}).get("asked")) else ""
        found.append((f"held-out masked accuracy{by}", f"{measures['masked_accuracy']:.1%}{of}"))
        for name, value in evaluation.get("baselines", {}).items():
            found.append((f"  guessing by the {name.replace('_', ' ')}", f"{value:.1%}"))
        found.append(("  bits per byte", f"{measures['bits_per_byte']:.3f}"))
        own, lines = evaluation.get("objective", {}).get("loss"), evaluation.get("own", [])
        if lines and lines[0].startswith("weighted sum"):
            name, _, said = lines[0].partition(": ")
            found.append((f"  {name}", said))
        else:  # of a model that is asked later, whose own question is not known, what the fixed one costs
            name, shown = ("nats per masked piece", measures["loss"]) if own is None else ("loss", own)
            found.append((f"  {name}", f"{shown:.3f}"))
        for language, asked in evaluation.get("languages", {}).items():
            told = f"bits per byte {asked['bits_per_byte']:.3f}, masked accuracy {asked['masked_accuracy']:.1%}"
            told += f" of {asked['asked']:,.0f}" if "asked" in asked else ""
            found.append((f"  in {language or 'no language told'}", told))
    else:
        for line in evaluation.get("own", []):
            name, _, said = line.partition(": ")
            found.append((f"held out, {name}", said))
    shared = [evaluation["shared"]] if evaluation.get("shared") else []
    for kept in [*shared, *evaluation.get("without_training", [])]:
        name, _, said = str(Figure(**kept)).partition(": ")
        found.append((name, said))
    return found
