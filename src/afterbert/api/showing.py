"""`ab.show`: what a pre-training task does to a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.api.asking import settings_of
from afterbert.api.shown import ShowsItself, SmallTable
from afterbert.recipes.files import known
from afterbert.recipes.question import question_of
from afterbert.workflows.gallery import Exhibit, exhibits_on


@dataclass(frozen=True, repr=False)
class ShownTasks(ShowsItself):
    """The tasks of one recipe, or of all, on a text."""

    text: str
    exhibits: tuple[Exhibit, ...]
    """Each task with a `picture`: the original, what is read, what is asked and written, who sees whom."""

    def table(self) -> SmallTable:
        rows: list[tuple[str, str]] = []
        for one in self.exhibits:
            rows.append((", ".join(filter(None, (one.recipe, one.task))), one.reason))
            if one.picture is None:
                continue
            read = "".join(cell.text for cell in one.picture.shown if cell.is_read)
            rows.append(("  reads", read.strip()))
            asked = [cell for cell in one.picture.shown if cell.asked not in ("", "·")]
            if asked:
                rows.append(("  asked", "   ".join(f"{cell.text.strip()} ← {cell.asked}" for cell in asked)))
            if one.picture.written:
                rows.append(("  writes", "".join(cell.text for cell in one.picture.written).strip()))
            rows += [("  label", label) for label in one.picture.labels]
            rows += [("  note", one.note)] if one.note else []
        return SmallTable(self.text, rows)


def show(
    text: str,
    *,
    recipe: str = "laptop",
    size: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    tokenizer: str | Path | None = None,
    seed: int = 0,
) -> ShownTasks:
    """Shows what a recipe's task does to a text: what is read, what is asked, what is written.

    - recipe: a name that `afterbert recipes` lists, a YAML file, or "all".
    - tokenizer: the folder of a run, store or model that cuts the text; when left out, a small one is trained on the
      documentation that comes with Python.
    - seed: another seed draws other masks.

    Raises UserError.
    """
    names = known() if recipe == "all" else [recipe]
    questions = [question_of(name, size=size, overrides=settings_of(overrides)) for name in names]
    found = exhibits_on(text, questions, Path(tokenizer) if tokenizer else None, (), seed=seed)
    return ShownTasks(text, tuple(one for exhibits in found for one in exhibits))
