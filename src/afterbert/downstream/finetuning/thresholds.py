"""When a model had better give no answer, or give a label: the thresholds that do best on dev rows, and what they are
worth there.

Figures of dev stay those without them, since they are chosen on these very rows; other splits, and whatever the saved
model is asked later, are answered with them. Source: SQuAD 2.0 (1806.03822), evaluate-v2.0.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.downstream.figures.results import Predictions
from afterbert.downstream.finetuning.objective import TaskObjective
from afterbert.objectives.modules import ObjectiveModule

_FILE = Path("predictions", "thresholds.json")


def write_thresholds(
    run: Path, asked: TaskObjective, tuned: TaskObjective, module: ObjectiveModule, found: Predictions
) -> None:
    """Writes for each task what its head chose, also in words (`said`), and the metrics on dev `without` it (`found`)
    and `with` it. No file is written when no head chose anything."""
    told = {}
    for data in asked.tasks:
        head = tuned.heads[data.name]
        if head != asked.heads[data.name]:
            guesses = tuned.predict(module, data.name, "dev")
            told[data.name] = {
                **head.chosen(data.task),
                "without": data.scores("dev", found[data.name]["dev"]),
                "with": data.scores("dev", guesses),
            }
    if told:
        (run / _FILE.parent).mkdir(exist_ok=True)
        write_sealed(run / _FILE, told)


def read_thresholds(run: Path) -> dict[str, Any]:
    """Reads the thresholds that `write_thresholds` wrote; empty if there are none."""
    return read_sealed(run / _FILE, remedy=f"delete {run / _FILE.parent}") if (run / _FILE).exists() else {}


def threshold_lines(seed: int, told: Mapping[str, Any]) -> list[str]:
    """Returns one line for each task.

    >>> said = "no answer from a margin of -1.50 on"
    >>> told = {"qa": {"said": said, "without": {"answer_f1": 0.5}, "with": {"answer_f1": 0.625}}}
    >>> threshold_lines(0, told)
    ['qa, seed 0: no answer from a margin of -1.50 on: dev answer_f1 50.0 becomes 62.5, best of all on these very rows']
    """
    lines = []
    for name, one in told.items():
        changes = ", ".join(
            f"{metric} {100 * value:.1f} becomes {100 * one['with'][metric]:.1f}"
            for metric, value in one["without"].items()
        )
        lines.append(
            f"{name}, seed {seed}: {one.get('said', 'as before')}: dev {changes}, best of all on these very rows"
        )
    return lines
