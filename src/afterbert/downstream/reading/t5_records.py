"""Data sets of SuperGLUE whose rows T5 writes in a way of its own: as one text to read and texts to write.

Source: T5 (1910.10683), Sections 2.4 and Appendix D; its release, `t5/data/preprocessors.py` (`glue`, `wsc_simple`,
`record`) and `glue_utils.py`, whose forms these are (WiC without the part of speech). Each is known by its columns.
Answers that T5 trains on one by one are one row with several texts here, of which the first is learned and the best
counts; a noun that WSC's pronoun does not mean is no row to learn from or to score.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class RecordForm:
    """name: T5's, with which what is read begins. columns: of a row's texts, all of which it needs. label: the column
    of the truth. read: a row -> what is read, without the name; written: a row -> texts to write, none where it has no
    truth."""

    name: str
    columns: tuple[str, ...]
    label: str
    read: Callable[[Record], str]
    written: Callable[[Record], tuple[str, ...]]

    @property
    def source(self) -> str:
        """Its columns, joined as several that play one part are."""
        return "+".join(self.columns)


def form_among(columns: Sequence[str]) -> RecordForm | None:
    """Returns the first form whose columns a table has.

    >>> form_among(["idx", "word", "sentence2", "sentence1", "label"]).name
    'wic'
    """
    return next((form for form in FORMS if {*form.columns, form.label} <= set(columns)), None)


def form_of(source: str) -> RecordForm | None:
    """Returns the form whose columns, joined, are these."""
    return next((form for form in FORMS if form.source == source), None)


def _named(*columns: str) -> Callable[[Record], str]:
    return lambda record: " ".join(f"{column}: {record[column]}" for column in columns)


def _one_of(*words: str) -> Callable[[Record], tuple[str, ...]]:
    """The word for a label that is written as a number, a truth value or the word itself."""
    places = {str(number): word for number, word in enumerate(words)}
    places |= {word.lower(): word for word in words}

    def written(record: Record) -> tuple[str, ...]:
        word = places.get(str(record.get("label", "")).strip().lower())
        return () if word is None else (word,)

    return written


def _pronoun_marked(record: Record) -> str:
    """The text with `*` around the pronoun, which is the word of that number, counted from 0; punctuation may hang
    on it."""
    words, place = str(record["text"]).split(), int(record["span2_index"])
    pronoun, marked = str(record["span2_text"]), f"*{record['span2_text']}*"
    if 0 <= place < len(words) and pronoun.lower() in words[place].lower():
        words[place] = re.sub(re.escape(pronoun), marked.replace("\\", r"\\"), words[place], count=1, flags=re.I)
        return " ".join(words)
    return re.sub(rf"\b{re.escape(pronoun)}\b", marked.replace("\\", r"\\"), " ".join(words), count=1)


def _referent(record: Record) -> tuple[str, ...]:
    """The noun, where the pronoun means it: a wrong one teaches nothing to write."""
    return (str(record["span1_text"]),) if str(record.get("label")).lower() in ("1", "true") else ()


def _multirc(record: Record) -> str:
    text = _named("question", "answer", "paragraph")(record)
    return re.sub("</?b>", "", text.replace("<br>", " "))


def _listed(value: Any) -> list[str]:
    return list(map(str, value)) if isinstance(value, (list, tuple)) else [str(value)] if value else []


def _record(record: Record) -> str:
    passage = re.sub(r"([.?!\"'])\n@highlight\n", r"\1 ", str(record["passage"]))
    passage = passage.replace("\n@highlight\n", ". ")
    return f"query: {record['query']} entities: {', '.join(_listed(record['entities']))} passage: {passage}"


_TRUTH = _one_of("False", "True")
FORMS = (
    RecordForm("wsc", ("text", "span1_text", "span2_text", "span2_index"), "label", _pronoun_marked, _referent),
    RecordForm(
        "copa",
        ("choice1", "choice2", "premise", "question"),
        "label",
        _named("choice1", "choice2", "premise", "question"),
        _one_of("choice1", "choice2"),
    ),
    RecordForm("wic", ("sentence1", "sentence2", "word"), "label", _named("sentence1", "sentence2", "word"), _TRUTH),
    RecordForm("multirc", ("question", "answer", "paragraph"), "label", _multirc, _TRUTH),
    RecordForm(
        "record",
        ("query", "entities", "passage"),
        "answers",
        _record,
        lambda record: tuple(_listed(record.get("answers"))),
    ),
)


def read_as_t5(form: RecordForm, record: Record) -> str:
    """Returns the text that T5 reads of a row: `wic sentence1: ...`; WSC's has a colon, since its text has no name."""
    return f"{form.name}{':' if form.name == 'wsc' else ''} {form.read(record)}"
