"""From lines of cells to a table: is the first line a header, and which lines do not fit?"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.reading.columns import is_decimal, is_missing, known_names

_LOOKED_AT = 2000


def table_of(
    path: Path, kind: str, rows: Sequence[tuple[int, list[str]]], *, header: bool | None, findings: Findings
) -> Table:
    """Returns a table from (line number, cells). header: None looks for a header. Raises UserError."""
    if not rows:
        raise UserError(f"{path} holds no row; check that it is the right file, and whole")
    width = Counter(len(cells) for _, cells in rows[:_LOOKED_AT]).most_common(1)[0][0]
    if header is not False:
        rows = [(rows[0][0], _names_for(rows, width, path)), *rows[1:]]
    fitting = [(line, cells) for line, cells in rows if len(cells) == width]
    for line, cells in rows:
        if len(cells) != width:
            findings.add("lines with another number of columns left out", f"{path.name}:{line}")
    # spreadsheets leave columns without a name or a value at the end
    filled = 1 + max((i for _, cells in fitting for i, cell in enumerate(cells) if cell.strip()), default=width - 1)
    fitting, width = [(line, cells[:filled]) for line, cells in fitting], filled
    if 2 * len(fitting) < len(rows):
        raise UserError(
            f"{path}: {len(rows) - len(fitting):,} of {len(rows):,} lines do not have {width} columns like "
            "the first ones; check the format (tsv, csv, delimiter)"
        )
    has_header = names_columns([cells for _, cells in fitting[:_LOOKED_AT]]) if header is None else header
    names = [name.strip() for name in fitting[0][1]] if has_header else [str(i + 1) for i in range(width)]
    if len(set(names)) < len(names):
        raise UserError(f"{path}:1: two columns have the same name; rename one, or say header: false")
    body = [row for row in fitting if row[1] != fitting[0][1]] if has_header else fitting
    for line, cells in fitting[1:]:
        if has_header and cells == fitting[0][1]:
            findings.add("lines that are the header again left out", f"{path.name}:{line}")
    if not body:
        raise UserError(f"{path}: holds a header and no rows; name a file with rows")
    layout = f"{kind} {'with' if has_header else 'without'} header"
    records = [(line, dict(zip(names, cells))) for line, cells in body]
    return Table.of_lines(path, layout, names, records, has_header=has_header)


def _names_for(rows: Sequence[tuple[int, list[str]]], width: int, path: Path) -> list[str]:
    """The cells of the first line. R leaves out the name of the row numbers. Raises UserError where fewer columns are
    named than most rows have."""
    line, first = rows[0]
    if not 1 < len(first) < width:
        return first
    if len(first) == width - 1 and all(cells[0].isdigit() for _, cells in rows[1:] if cells):
        return ["", *first]
    raise UserError(
        f"{path}:{line}: has {len(first)} columns, most rows have {width}: is the delimiter also in the "
        "texts? put such texts in quotes, or save the file as tsv"
    )


def names_columns(rows: list[list[str]]) -> bool:
    """Returns whether the first line names the columns. It does when no number stands over numbers, no value comes
    again below, and there is a known name, a word over numbers or over running text, or a unique word over few values.
    A column of row numbers, as pandas writes it, may have no name.

    >>> names_columns([["sentence", "label"], ["good", "1"]])
    True
    >>> names_columns([["good film", "1"], ["bad", "0"], ["so so", "1"]])
    False
    >>> names_columns([["", "umsögn", "einkunn"], ["0", "Þetta er góð mynd.", "já"], ["1", "Og þetta er slæm.", "nei"]])
    True
    """
    first = rows[0]
    rest = [row for row in rows[1:] if row != first]  # files that were joined have a header each
    speaks_for = any(cell.strip().lower() in known_names() for cell in first)
    is_index = not first[0].strip() and all(row[0].isdigit() for row in rest)
    if not rest or not all(cell.strip() for cell in first[is_index:]):
        return speaks_for and bool(rest)
    for number, name in list(enumerate(first))[is_index:]:
        below = [row[number] for row in rest]
        if is_decimal(name):
            return False
        distinct = set(below)
        if len(distinct) <= max(2, len(below) // 10) and len(distinct) < len(below):
            if name in distinct:
                return False
            speaks_for = True
        elif all(is_decimal(cell) or is_missing(cell) for cell in below) or (
            len(first) > 1 and _names_texts(name, below)
        ):
            speaks_for = True
    return speaks_for


def _names_texts(name: str, below: list[str]) -> bool:
    """Whether a short word without a sentence's signs stands over cells that are nearly all twice as long at least."""
    is_name = len(name) <= 30 and len(name.split()) <= 2 and not re.search(r"[.!?,;:…。！？，।]", name)
    return is_name and sum(len(cell) >= 2 * len(name) for cell in below) >= 0.95 * len(below)
