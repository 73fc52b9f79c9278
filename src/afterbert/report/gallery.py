"""What every task does to one text, drawn: pieces with their marks, and a square of who sees whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pydantic import TypeAdapter

from afterbert.probes.picture import ACTIONS, Cell
from afterbert.report.pages import render, write_page
from afterbert.report.run_record import Gallery, ShownTask
from afterbert.report.samples import Word
from afterbert.workflows.gallery import Exhibit, plain

_MOST_ASKED = 14
_TELLS_TRUTH = ("mask", "random")  # beside which the page writes what stood there


@dataclass(frozen=True)
class Square:
    """Who sees whom: line i sees column j where `path` fills the unit square at (j, i)."""

    size: int
    path: str
    words: str


@dataclass(frozen=True)
class Drawn:
    """One task as the page shows it. asks: pairs (shown piece, what is asked there), where they are not written
    beside the pieces; more: how many further ones."""

    task: str
    reads: tuple[Word, ...]
    writes: tuple[Word, ...]
    asks: tuple[tuple[str, str], ...]
    more: int
    labels: tuple[str, ...]
    square: Square
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class Hung:
    """The tasks of one recipe."""

    recipe: str
    title: str
    tasks: tuple[Drawn, ...]


def write_gallery(exhibits: Sequence[Exhibit], text: str, out: Path, *, overwrite: bool = False) -> Path:
    """Writes a page of its own with these exhibits. overwrite: also over a file that is no page of ours. Raises
    UserError."""
    shown = hung_exhibits(exhibits, text)
    page = render("gallery_page.html.jinja", title="What each task does to a text", text=text, hung=shown)
    return write_page(out, page, overwrite=overwrite)


def hung_exhibits(exhibits: Sequence[Exhibit], text: str) -> tuple[Hung, ...]:
    """Exhibits as a page shows them."""
    return hung(TypeAdapter(Gallery).validate_python({"text": text, "exhibits": plain(exhibits)}))


def hung(gallery: Gallery) -> tuple[Hung, ...]:
    """Returns the exhibits by recipe, in their order."""
    groups = groupby(gallery.exhibits, key=lambda shown: (shown.recipe, shown.title))
    return tuple(Hung(recipe, title, tuple(map(drawn, tasks))) for (recipe, title), tasks in groups)


def drawn(shown: ShownTask) -> Drawn:
    """Returns one row of a task as the page shows it."""
    beside = [cell for cell in shown.shown if cell.asked and cell.places and cell.action in _TELLS_TRUTH]
    asked = [cell for cell in shown.shown if cell.asked and cell.asked != "·" and cell not in beside]
    return Drawn(
        task=shown.task,
        reads=_words(shown.shown, shown.before),
        writes=_words(shown.written, ()),
        asks=tuple((cell.text.strip() or cell.text, cell.asked) for cell in asked[:_MOST_ASKED]),
        more=max(0, len(asked) - _MOST_ASKED),
        labels=tuple(shown.labels),
        square=_square(shown.sight),
        reason=shown.reason,
        note=shown.note,
    )


def _words(cells: Sequence[Cell], before: Sequence[Cell]) -> tuple[Word, ...]:
    """Cells as running text. A piece takes the space before it from the text that it stands for."""
    words: list[Word] = []
    for cell in cells:
        stands_for = "".join(before[place].text for place in cell.places if 0 <= place < len(before))
        apart = cell.action == "special" or (bool(words) and words[-1].action == "special")
        spaced = stands_for or (cell.text if cell.action in ("", "inserted", "special") else " ")
        truth = stands_for if cell.action in _TELLS_TRUTH else cell.text
        words.append(
            Word(
                cell.text.strip() or cell.text,
                is_joined=not apart and not spaced.startswith(" "),
                truth=truth.strip() or truth or "nothing",
                action=cell.action if cell.action in (*ACTIONS, "special") else "",
                action_name=ACTIONS.get(cell.action, ""),
            )
        )
    return tuple(words)


def _square(sight: Sequence[str]) -> Square:
    size = len(sight)
    parts = []
    for number, line in enumerate(sight):
        at = 0
        for seen, run in groupby(line):
            width = len(list(run))
            if seen == "1":
                parts.append(f"M{at} {number}h{width}v1h-{width}z")
            at += width
    if all(set(line) <= {"1"} for line in sight):
        words = "every piece sees every piece"
    elif all(line == "1" * (n + 1) + "0" * (size - n - 1) for n, line in enumerate(sight)):
        words = "every piece sees itself and what stands before it"
    else:
        words = "the piece of a line sees the filled columns"
    return Square(size, "".join(parts), words)
