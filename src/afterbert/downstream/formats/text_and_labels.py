"""Texts in one file, their labels in another beside it, a line each: `train_text.txt` and `train_labels.txt`, with the
labels' names in `mapping.txt` where the lines are numbers.

Source: TweetEval's datasets (Barbieri et al. 2020), github.com/cardiffnlp/tweeteval.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.row_files.text_file import TextFile

_TEXT = re.compile(r"(?<![a-z])(texts?|sentences?)(?![a-z])", re.IGNORECASE)
NAMES_OF_LABELS = "mapping.txt"


@dataclass(frozen=True)
class TextAndLabels(Format):
    """Columns `text` and `label`."""

    def claim(self, path: Path, head: str) -> int:
        return 4 if labels_beside(path) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        """Raises UserError if the two files have not as many lines."""
        beside = labels_beside(path)
        if beside is None:
            raise UserError(f"{path}: has no file of labels beside it; call it like the texts, with labels for text")
        texts, labels = (list(TextFile.of(one).bare_lines()) for one in (path, beside))
        if len(texts) != len(labels):
            raise UserError(
                f"{path} has {len(texts):,} lines, {beside.name} {len(labels):,}; each text needs its label"
            )
        named = path.with_name(NAMES_OF_LABELS)
        lines = TextFile.of(named).bare_lines() if named.is_file() else ()
        cells = [line.split("\t") if "\t" in line else line.split(maxsplit=1) for line in lines]
        names = {number.strip(): name.strip() for number, name, *_ in filter(lambda pair: len(pair) > 1, cells)}
        named_labels = (names.get(label.strip(), label.strip()) for label in labels)
        rows = [{"text": text, "label": label} for text, label in zip(texts, named_labels)]
        layout = f"a text a line, its label in {beside.name}"
        return Table.of_lines(path, layout, ("text", "label"), list(enumerate(rows, 1)))


def labels_beside(path: Path) -> Path | None:
    """Returns the file of labels that belongs to a file of texts, by their names; None if there is none."""
    found = (path.with_name(_TEXT.sub(word, path.name)) for word in ("labels", "label"))
    return next((one for one in found if one != path and one.is_file()), None)
