"""Which column plays which part: by its name, and where names say nothing by its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from afterbert.base.errors import UserError, did_you_mean
from afterbert.downstream.formats import Table

Profile = Literal["text", "class", "number", "list", "other"]

# Part a column plays -> names it has in known data sets, the likeliest first; compared in lower case.
_NAMES: Mapping[str, tuple[str, ...]] = {
    part: tuple(names.split())
    for part, names in {
        "text": "text sentence review content comment utterance tweet message document question title",
        "label": "label labels gold_label category class intent sentiment topic polarity emotion coarse target rating "
        "stars",
        "score": "score similarity similarity_score relatedness_score label rating stars",
        "words": "words tokens form token",
        "tags": "tags ner_tags pos_tags upos xpos labels tag",
        "question": "question",
        "context": "context passage paragraph",
        "answers": "answers answer",
        "prompt": "prompt ctx question premise sent1 goal context stem sentence",
        "choices": "choices options endings",
        "right": "answerkey label answer gold correct",
        "source": "source src input document article dialogue",
        "target": "target tgt output summary highlights translation",
        "good": "sentence_good",
        "bad": "sentence_bad",
        "group": "uid phenomenon group",
        "query": "query question",
        "candidate": "candidate passage sentence document",
    }.items()
}

# Two texts that belong together. A second text is never looked for alone.
_PAIRS = (
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

# One choice a column: the stem is followed by a number or letter.
_CHOICE_STEMS = ("ending", "choice", "option", "sol", "answer")

KNOWN_NAMES = frozenset(
    {name for names in _NAMES.values() for name in names}
    | {name for pair in _PAIRS for name in pair}
    | {"id", "idx", "index"}
)


def find(part: str, columns: Sequence[str]) -> str | None:
    """The column (several joined by `+` for choices) that plays a part by its name; None where none does.

    >>> find("label", ["id", "Text", "Category"]), find("second", ["premise", "hypothesis"])
    ('Category', 'hypothesis')
    >>> find("choices", ["ctx", "ending0", "ending1"])
    'ending0+ending1'
    """
    lowered = {column.lower(): column for column in columns}
    if part in ("first", "second"):
        for pair in _PAIRS:
            if pair[0] in lowered and pair[1] in lowered:
                return lowered[pair[part == "second"]]
        return None
    for name in _NAMES[part]:
        if name in lowered:
            return lowered[name]
    if part == "choices":
        for stem in _CHOICE_STEMS:
            rest = {
                lower.removeprefix(stem): column
                for lower, column in lowered.items()
                if lower.startswith(stem)
            }
            several = [
                rest[end] for end in sorted(rest) if end.isdigit() or (len(end) == 1 and end.isalpha())
            ]
            if len(several) > 1:
                return "+".join(several)
    return None


def check(table: Table, part: str, name: str) -> str:
    """The column's name as the table has it. Numbers count columns from 1 where there is no such name.
    Raises UserError.

    `+` joins several columns (the choices of a multiple choice).
    """
    if "+" in name and name not in table.columns:
        return "+".join(check(table, part, one) for one in name.split("+"))
    if name in table.columns:
        return name
    if name.isdigit() and 1 <= int(name) <= len(table.columns):
        return table.columns[int(name) - 1]
    if table.has_header:
        raise UserError(
            f"{table.path}: has no column '{name}' for {part}; {did_you_mean(name, list(table.columns))}"
        )
    raise UserError(
        f"{table.path}: has no column '{name}' for {part}; it has {len(table.columns)} columns without names, "
        "numbered from 1"
    )


def profile(values: Sequence[Any]) -> Profile:
    """Tells what a column holds from its values: few different words are classes, numbers with a fraction or many
    values are numbers.

    >>> profile(["1", "0", "1", "1"]), profile(["2.5", "3", "0.4", "1"]), profile(["a b", "c d", "e f"])
    ('class', 'number', 'text')
    """
    filled = [value for value in values if value is not None and value != ""]
    if any(isinstance(value, (list, tuple, dict)) for value in filled):
        return "list"
    texts = [str(value) for value in filled]
    distinct = set(texts)
    if not texts:
        return "other"
    numeric = all(is_number(text) for text in distinct)
    if numeric and is_graded(texts):
        return "number"
    short = sum(map(len, texts)) <= 60 * len(texts)
    if short and (4 * len(distinct) <= len(texts) or (len(distinct) == 2 and len(texts) >= 4)):
        return "class"
    # Identifiers are one word of ASCII; running text has spaces, or letters beyond ASCII.
    running = sum(" " in text.strip() or any(c > "\x7f" and c.isalpha() for c in text) for text in texts)
    return "text" if 2 * running > len(texts) and not numeric else "other"


def is_number(text: str) -> bool:
    """Whether it reads as a finite number.

    >>> is_number("3.5"), is_number("nan"), is_number("x")
    (True, False, False)
    """
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def is_graded(texts: Sequence[str]) -> bool:
    """Whether numbers are grades rather than names of classes: any has a fraction, or there are more than 20
    different ones that are no mere count of the rows.

    >>> is_graded(["0", "1", "1.5"]), is_graded(["0", "1", "2"]), is_graded([str(n) for n in range(99)])
    (True, False, False)
    """
    distinct = {float(text) for text in texts}
    if any(value != int(value) for value in distinct):
        return True
    return 20 < len(distinct) < len(texts)


def by_values(table: Table, *, looked_at: int = 2000) -> dict[Profile, list[str]]:
    """Columns by what they hold, in file order, from the first rows."""
    found: dict[Profile, list[str]] = {"text": [], "class": [], "number": [], "list": [], "other": []}
    for column in table.columns:
        found[profile(table.column(column)[:looked_at])].append(column)
    return found
