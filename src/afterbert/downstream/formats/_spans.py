"""From a text with marked stretches to words with tags."""

from collections.abc import Mapping, Sequence
from typing import Any

from afterbert.downstream.example import Findings
from afterbert.downstream.reading.words import words_in

_BEGINS = ("start", "start_offset", "begin", "from")
_ENDS = ("end", "end_offset", "to")
_NAMES = ("label", "labels", "entity", "tag", "type", "ner")


def span_of(value: Any, text: str) -> tuple[int, int, str] | None:
    """Returns begin, end and type of one marked stretch, given as [begin, end, type] or an object; None for anything
    else. When the stretch holds its text, places that count UTF-16 units, as browsers do, can be told from those that
    count characters.

    >>> span_of([0, 4, "PER"], "Anna"), span_of({"start_offset": 0, "end_offset": 4, "label": "PER"}, "Anna")
    ((0, 4, 'PER'), (0, 4, 'PER'))
    >>> span_of({"start": 3, "end": 7, "text": "Anna", "labels": ["PER"]}, "\U0001f600 Anna"), span_of("x", "")
    ((2, 6, 'PER'), None)
    """
    if isinstance(value, (list, tuple)) and len(value) == 3:
        begin, end, name = value
    elif isinstance(value, Mapping):
        begin, end, name = (_first(value, names) for names in (_BEGINS, _ENDS, _NAMES))
        name = name[0] if isinstance(name, list) and name else name
    else:
        return None
    if not (isinstance(begin, int) and isinstance(end, int) and isinstance(name, str)):
        return None
    said = value.get("text") if isinstance(value, Mapping) else None
    if isinstance(said, str) and text[begin:end] != said:
        units = text.encode("utf-16-le", "surrogatepass")
        before, inside = units[: 2 * begin], units[2 * begin : 2 * end]
        if inside.decode("utf-16-le", "replace") == said:
            begin = len(before.decode("utf-16-le", "replace"))
            end = begin + len(said)
    return begin, end, name


def tagged(
    text: str, spans: Sequence[tuple[int, int, str]], key: str, findings: Findings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns words and BIO tags. A stretch that begins or ends inside a word takes the whole word. Of two that
    overlap, the one that begins first, or is longer, is taken. Both cases are counted.

    >>> tagged("Anna Berg, Oslo.", [(0, 9, "PER"), (11, 15, "LOC")], "row", Findings())
    (('Anna', 'Berg', ',', 'Oslo', '.'), ('B-PER', 'I-PER', 'O', 'B-LOC', 'O'))
    """
    found = words_in(text)
    places = [(begin, begin + len(word)) for begin, word in zip(found.begins, found.words)]
    tags = ["O"] * len(places)
    for begin, end, name in sorted(spans, key=lambda span: (span[0], -span[1])):
        inside = [i for i, (first, last) in enumerate(places) if first < end and last > begin]
        if not inside:
            findings.add("marked stretches without a word (left out)", key)
        elif any(tags[i] != "O" for i in inside):
            findings.add("marked stretches that overlap another (left out)", key)
        else:
            if text[places[inside[0]][0] : places[inside[-1]][1]] != text[begin:end].strip():
                findings.add("marked stretches that begin or end inside a word (the whole of it is taken)", key)
            for i in inside:
                tags[i] = f"{'B' if i == inside[0] else 'I'}-{name}"
    return found.words, tuple(tags)


def _first(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((value[name] for name in names if name in value), None)
