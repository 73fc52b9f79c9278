"""Which column plays which part: by its name, and where names say nothing by its values."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, Self

from afterbert.base import plugins
from afterbert.base.errors import UserError, did_you_mean
from afterbert.downstream.formats import Table
from afterbert.downstream.reading.cells import held_in
from afterbert.downstream.reading.words import FoundWords, words_in

Profile = Literal["text", "class", "number", "list", "other"]

#: How data sets write that a label is not given, and that it is, in turn.
FLAGS = ("0", "1", "0.0", "1.0", "false", "true")
#: Names of columns that name rows.
_IDS = frozenset(("id", "idx", "index", "uid", "uuid", "guid"))
#: What stands between several labels in one cell, the surest first.
SEPARATORS = ("|", ";", ",", "#")

#: Names that two texts which belong together have in known data sets. A second text is never looked for alone.
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("s1", "s2"),
    ("query", "passage"),
    ("question", "passage"),
    ("#1 string", "#2 string"),
)


class ReadsColumns(ABC):
    """The part of a kind of task that reads tables: which column plays which part."""

    parts: ClassVar[tuple[str, ...]]
    """The parts that it needs, such as `text` and `label`."""
    optional_parts: ClassVar[tuple[str, ...]] = ()
    """Those that it can use where they are there."""
    label_part: ClassVar[str | None]
    """The part that holds the truth; None if no column does."""
    joining_part: ClassVar[str | None] = None
    """The part that says which rows of a table are one example."""
    column_names: ClassVar[Mapping[str, tuple[str, ...]]]
    """Part -> names that its column has in known data sets, in lower case, the likeliest first."""
    precedence: ClassVar[int]
    """Of several kinds that a table has the columns for, the highest is meant; 0 is never guessed."""
    is_told_by_values: ClassVar[bool] = False
    """Whether the kind is guessed from what the columns hold, where their names say nothing."""

    def find(self, part: str, columns: Sequence[str]) -> str | None:
        """Returns the one of `columns` that plays a part, by its name (several joined by `+`); None if none does."""
        return first_named(self.column_names[part], columns)

    def match(self, table: Table, given: Mapping[str, str]) -> dict[str, str] | None:
        """Returns part -> column: those `given`, and the others by their names; None if a needed one is not found."""
        rest = [column for column in table.columns if column not in given.values()]
        known = (*self.parts, *self.optional_parts)
        found = {part: given.get(part) or self.find(part, rest) for part in known}
        if any(found[part] is None for part in self.parts):
            return None
        return {part: column for part, column in found.items() if column is not None}

    def texts_among(self, columns: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
        """Returns part -> column for all parts but that of the label: those `given`, and the others by their names."""
        parts = (part for part in (*self.parts, *self.optional_parts) if part != self.label_part)
        named = {part: given.get(part) or self.find(part, columns) for part in parts}
        return {part: column for part, column in named.items() if column is not None}

    def fits(self, table: Table, columns: Mapping[str, str]) -> bool:
        """Returns whether the values of these columns (part -> column) are of this kind, where the kind is guessed."""
        return True

    def recognized(self, table: Table) -> tuple[Self, dict[str, str], str] | None:
        """Returns, for a well-known data set of this kind that names no columns, the task as that set is scored, part
        -> column, and the set in words; else None."""
        return None

    def offer(self, held: Held) -> dict[str, str]:
        """Guesses part -> column from what the columns hold, for as many parts as possible; by default for none."""
        return {}

    def joins(self, record: Mapping[str, Any], before: Mapping[str, Any], columns: Mapping[str, str]) -> bool:
        """Returns whether a row of a file is one more part of the example that the row before belongs to."""
        return False

    def words_of(self, text: str) -> FoundWords:
        """Returns the words of a running text, for tasks that read words."""
        return words_in(text)

    def as_written(self, prediction: Any) -> Any:
        """Returns a prediction as files of this task write labels."""
        return prediction


@dataclass(frozen=True)
class Held:
    """A table's columns by what they hold, each in file order."""

    texts: list[str]
    """Running text; where no column holds any, single words and whatever else is nothing of the below."""
    running: list[str]
    """Running text alone."""
    label: list[str]
    """The column of class names, if there is one, of several the one of numbers; none where that is not told so.
    Columns with gaps, or with one value throughout, are remarks."""
    numbers: list[str]
    """Grades."""
    lists: list[str]
    """Lists of plain values."""
    flags: list[str]
    """Nothing but 0 and 1, true and false: whether a label is given. -1 stands for nobody knows."""
    several: list[str]
    """Several labels a row, as lists or between separators."""
    whole: list[str]
    """Few different whole numbers: classes, or grades where these are asked for."""
    is_asked: bool = False
    """Whether the kind of task was asked for, not guessed."""

    @staticmethod
    def of(table: Table, *, is_asked: bool = False, looked_at: int = 2000) -> Held:
        """Returns what columns hold, judged by the first rows of a table."""
        found: dict[Profile, list[str]] = {"text": [], "class": [], "number": [], "list": [], "other": []}
        flags, several = [], []
        for column in table.columns:
            values = table.column(column)[:looked_at]
            if holds_several(values):
                several.append(column)
            elif holds_flags(values):
                flags.append(column)
            found["list" if column in several else profile(values)].append(column)
        return Held(
            texts=found["text"] or [c for c in found["other"] if c.lower() not in _IDS],
            running=found["text"],
            label=_label_column(table, found["class"]),
            numbers=found["number"],
            lists=[c for c in found["list"] if _holds_flat_lists(table.column(c)[:looked_at])],
            flags=flags,
            several=several,
            whole=[c for c in found["class"] if _is_numeric(table.column(c)[:looked_at])],
            is_asked=is_asked,
        )


@cache
def known_names() -> frozenset[str]:
    """Lists every name, in lower case, that a column has in some kind of task. A header is known by them."""
    from afterbert.downstream.tasks import Task  # tasks read tables, whose readers ask this

    kinds: list[type[ReadsColumns]] = [plugins.find(Task, name) for name in plugins.names(Task)]
    return frozenset(name for kind in kinds for names in kind.column_names.values() for name in names) | _IDS


def first_named(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Returns the column with the first of these names that occurs, whatever its case.

    >>> first_named(("label", "category"), ["id", "Text", "Category"])
    'Category'
    """
    lowered = {column.lower(): column for column in columns}
    return next((lowered[name] for name in names if name in lowered), None)


def pair_named(columns: Sequence[str]) -> tuple[str, str] | None:
    """Returns the two columns whose names are one of `PAIRS`.

    >>> pair_named(["Hypothesis", "premise", "label"])
    ('premise', 'Hypothesis')
    """
    lowered = {column.lower(): column for column in columns}
    found = ((lowered[a], lowered[b]) for a, b in PAIRS if a in lowered and b in lowered)
    return next(found, None)


def check(table: Table, part: str, name: str) -> str:
    """Returns the column's name in the table, see `column_named`. Raises UserError."""
    found = column_named(name, table.columns)
    if found is None and table.has_header:
        raise UserError(f"{table.path}: has no column '{name}' for {part}; {did_you_mean(name, list(table.columns))}")
    if found is None:
        raise UserError(
            f"{table.path}: has no column '{name}' for {part}; it has {len(table.columns)} columns without names, "
            "numbered from 1"
        )
    return found


def column_named(name: str, columns: Sequence[str]) -> str | None:
    """Returns the column with this name, or else with this number, counted from 1; None if there is none. `+` joins
    several columns (the choices of a multiple choice).

    >>> column_named("2", ["text", "label"]), column_named("1+label", ["text", "label"]), column_named("x", ["text"])
    ('label', 'text+label', None)
    """
    if "+" in name and name not in columns:
        parts = [column_named(one, columns) for one in name.split("+")]
        return None if None in parts else "+".join(map(str, parts))
    if name not in columns and name.isdecimal() and 1 <= int(name) <= len(columns):
        return columns[int(name) - 1]
    return name if name in columns else None


def told_by_name(columns: Iterable[str]) -> set[str]:
    """Returns the columns given by name, from which a header can be known. A number counts a column of a file without
    header; a cell with that number is no name.

    >>> sorted(told_by_name(["review", "2"]))
    ['review']
    """
    return {column for column in columns if not column.isdigit()}


def those_there(table: Table, usual: Mapping[str, str]) -> dict[str, str]:
    """Returns part -> column for the columns that a table has. Columns without names are returned only when the table
    has all of them, since the same number may be another column in another file."""
    found = {part: column for part, column in usual.items() if set(column.split("+")) <= set(table.columns)}
    return found if table.has_header or len(found) == len(usual) else {}


def profile(values: Sequence[Any]) -> Profile:
    """Tells what a column holds from its values: few different words are classes, numbers with a fraction or many
    values are numbers.

    >>> profile(["1", "0", "1", "1"]), profile(["2.5", "3", "0.4", "1"]), profile(["a b", "c d", "e f"])
    ('class', 'number', 'text')
    """
    filled = [value for value in values if not is_missing(value)]
    if any(isinstance(value, (list, tuple, dict)) for value in filled):
        return "list"
    texts = [str(value) for value in filled]
    distinct = set(texts)
    if not texts:
        return "other"
    numeric = all(is_decimal(text) for text in distinct)
    if numeric and is_graded(texts):
        return "number"
    short = sum(map(len, texts)) <= 60 * len(texts)
    if short and (4 * len(distinct) <= len(texts) or (len(distinct) == 2 and len(texts) >= 4)):
        return "class"
    # Identifiers are one word of ASCII; running text has spaces, or letters beyond ASCII.
    running = sum(" " in text.strip() or any(c > "\x7f" and c.isalpha() for c in text) for text in texts)
    return "text" if 2 * running > len(texts) and not numeric else "other"


def holds_flags(values: Sequence[Any]) -> bool:
    """Returns whether a column says of each row yes or no, and of some of them yes.

    >>> holds_flags(["0", "1", "-1"]), holds_flags([True, False]), holds_flags(["1", "2"]), holds_flags(["1", "1"])
    (True, True, False, False)
    """
    found = {str(value).strip().lower() for value in values}
    return found <= {*FLAGS, "-1"} and len(found - {"-1"}) > 1


def holds_several(values: Sequence[Any]) -> bool:
    """Returns whether a column gives several labels to a row. Such labels come back in other rows, so that there are
    fewer labels than different cells.

    >>> holds_several([["a"], ["a", "b"], []]), holds_several(["a|b", "a", "b"]), holds_several(["Oslo, NO", "Rom, IT"])
    (True, True, False)
    """
    filled = [[value] if isinstance(value, str) else value for value in values if value is not None]
    if any(isinstance(value, (list, tuple)) for value in values):
        if not all(isinstance(value, (list, tuple)) and is_flat(value) for value in filled):
            return False
        distinct = {tuple(map(str, value)) for value in filled}
        return max(map(len, distinct)) > 1 and len({one for row in distinct for one in row}) < len(distinct)
    return not any(isinstance(value, dict) for value in values) and separator_of(values) is not None


def is_flat(value: Sequence[Any]) -> bool:
    """Returns whether a list holds only plain values."""
    return not any(isinstance(one, (list, tuple, dict)) for one in value)


def separator_of(values: Sequence[Any]) -> str | None:
    """Returns the sign between several labels in one cell, `[` where cells are written as lists; None if there is none.

    >>> separator_of(["joy|anger", "joy", "anger", ""]), separator_of(["['a', 'b']", "['a']", "[]"])
    ('|', '[')
    >>> separator_of(["('a', 'b')", "('a',)"]), separator_of(["C#", "C", "Java"])
    ('[', None)
    >>> separator_of(["0,5", "0,7", "1,5"]) is None, separator_of(["3,27", "27", "3", "4,3,27", "4"])
    (True, ',')
    """
    cells = {str(value).strip() for value in values if value is not None}
    if len(cells) > 1 and all(
        cell[:1] + cell[-1:] == "[]" or isinstance(held_in(cell), list) for cell in cells if cell
    ):
        return "["
    if sum(map(len, cells)) > 60 * len(cells) or all(is_decimal(cell) for cell in cells if cell):
        return None
    for mark in SEPARATORS:
        parts = {part.strip() for cell in cells for part in cell.split(mark)} - {""}
        is_name = mark == "#" and any(cell[0] == mark or cell[-1] == mark for cell in cells if cell)  # a tag, C#
        if any(mark in cell for cell in cells) and 1 < len(parts) < len(cells) and not is_name:
            return mark
    return None


def is_decimal(text: str) -> bool:
    """Returns whether a text reads as a number with a decimal point or comma.

    >>> is_decimal("0,5"), is_decimal("1e-3"), is_decimal("1,2,3"), is_decimal("a")
    (True, True, False, False)
    """
    return is_number(text) or (text.count(",") == 1 and "." not in text and is_number(text.replace(",", ".")))


def number_of(text: str) -> float:
    """Returns the number that a text with a decimal point or comma stands for; see `is_decimal`.

    >>> number_of("0,5"), number_of("2")
    (0.5, 2.0)
    """
    return float(text if is_number(text) else text.replace(",", "."))


def is_missing(value: Any) -> bool:
    """Returns whether a cell says that it holds nothing: empty, or as pandas and databases write it.

    >>> is_missing(None), is_missing(" "), is_missing(float("nan")), is_missing("None")
    (True, True, True, False)
    """
    return value is None or str(value).strip().lower() in ("", "nan", "null", "<na>", "#n/a")


def is_number(text: str) -> bool:
    """Returns whether a text reads as a finite number.

    >>> is_number("3.5"), is_number("nan"), is_number("x"), is_number("1_0")
    (True, False, False, False)
    """
    try:
        return "_" not in text and abs(float(text)) < float("inf")  # 1_0, which Python reads as 10, is a name
    except ValueError:
        return False


def is_graded(texts: Sequence[str]) -> bool:
    """Returns whether numbers are grades rather than names of classes: one has a fraction, or there are more than 20
    different ones that do not just count the rows.

    >>> is_graded(["0", "1", "1.5"]), is_graded(["0", "1", "2"]), is_graded([str(n) for n in range(99)])
    (True, False, False)
    """
    distinct = {number_of(text) for text in texts}
    if any(value != int(value) for value in distinct):
        return True
    return 20 < len(distinct) < len(texts)


def _label_column(table: Table, classes: list[str]) -> list[str]:
    """The one of several columns of classes, if it can be told; see `Held.label`."""
    written = {column: set(map(str, table.column(column))) for column in classes}
    full = [column for column, values in written.items() if "" not in values and len(values) > 1]
    numeric = [column for column in full if _is_numeric(table.column(column))]
    chosen = numeric or full
    return chosen if len(chosen) == 1 else []


def _holds_flat_lists(values: Sequence[Any]) -> bool:
    return all(isinstance(one, (list, tuple)) and is_flat(one) for one in values if not is_missing(one))


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(is_decimal(str(value)) for value in values if not is_missing(value))
