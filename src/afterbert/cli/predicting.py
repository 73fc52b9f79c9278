"""What `predict` prints: rows on standard output, remarks beside them, and the answer to a text as a small table."""

import io
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO, cast

from afterbert.api.terminal import console, safe, table, tell_notes
from afterbert.api.watch import Watch
from afterbert.base.errors import UserError
from afterbert.base.visible import visible, visible_line
from afterbert.downstream.example import Example
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task
from afterbert.text.pieces.unknown import UnknownPieces
from afterbert.workflows.prediction import PredictRequest, added, answerer_of, check_unknown, predict_file


class _Screen(io.TextIOBase):
    """Standard output where it is a terminal, on which nothing in a row may act."""

    def write(self, text: str) -> int:
        return sys.stdout.write(visible(text.replace("\r\n", "\n")))


def predict_rows(request: PredictRequest) -> None:
    """Prints the answered rows, or writes them to a file with a progress bar."""
    if request.out is None:
        done = predict_file(request, stream=cast(TextIO, _Screen()) if sys.stdout.isatty() else sys.stdout)
    else:
        with Watch() as watch:
            done = predict_file(request, stream=sys.stdout, observer=watch)
    read = ", ".join(f"{part} = '{column}'" for part, column in done.columns.items())
    lines = [f"note: {note}" for note in done.notes]
    lines.append(f"{done.rows:,} rows answered; read: {read}; new: {', '.join(done.new)}")
    for line in [*lines, *([f"written: {request.out}"] if request.out else [])]:
        # Beside the rows, so that a pipe gets rows and nothing else.
        print(visible_line(line), file=sys.stderr if request.out is None else sys.stdout)


def predict_text(
    model: str,
    texts: Sequence[str],
    task: str | None,
    unheeded: Mapping[str, object],
    *,
    max_unknown: float,
    language: str | None = None,
) -> None:
    """Prints the answer to one row, given as its texts. Raises UserError."""
    for option, value in unheeded.items():
        if value is not None:
            raise UserError(f"{option} has an effect on files alone, and no file is called '{texts[0]}'")
    answerer, notes = answerer_of(model, task, language)
    unknown = UnknownPieces.in_texts(texts, answerer.loaded.model.tokenizer)
    notes += check_unknown(unknown, "this text", max_unknown)
    (found,) = answerer.rows([texts[0] if len(texts) == 1 else tuple(texts)])
    tell_notes(notes)
    made = table(show_header=False)
    for row in _lines(answerer.task, tuple(texts), found):
        made.add_row(*map(safe, row))
    console.print(made)


def _lines(task: Task, texts: tuple[str, ...], found: Prediction) -> list[tuple[str, ...]]:
    """The rows of the table: classes or candidates with their chances, tags behind their words, entities, or whatever
    else the answer is."""
    if found.probabilities:
        likeliest = sorted(found.probabilities.items(), key=lambda one: -one[1])
        return [(name, f"{chance:6.1%}", "█" * round(30 * chance)) for name, chance in likeliest]
    if task.answer == "order":
        return [(f"{place + 1}.", texts[1 + i], f"{found.scores[i]:.3f}") for place, i in enumerate(found.value)]
    if found.entities is not None:
        found_ones = found.entities
        rows = [(one.label, one.text, f"{one.start}-{one.end}", _sure(one.confidence)) for one in found_ones]
        return [*rows] or [("no entity",)]
    if task.answer == "tags":
        return list(zip(found.words or texts, found.value))
    told = added(task, Example("", texts), found)
    place = f"{told['start']}-{told['end']}" if told.get("start") is not None else ""
    shown = str(told.get("answer", told["prediction"])) or "no answer"
    return [(shown, place, _sure(found.confidence))]


def _sure(confidence: float | None) -> str:
    return "" if confidence is None else f"{confidence:.1%}"
