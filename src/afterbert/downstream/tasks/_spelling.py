"""Labels as people write them: one class in several spellings, and signs for "nobody knows"."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache

from afterbert.downstream.reading.columns import is_number

#: What may be a class or stand for "nobody knows": SNLI's `-`, the hub's -1, Python's None.
DOUBTFUL = ("-", "_", "-1", "None", "none", "NONE", "NA", "N/A", "n/a")

# Spellings of one truth, which make one class where no other labels stand beside them.
_YES, _NO = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f")
# So much rarer than the rarest class -1 is a gap in the labels, not a class.
_RARE = 10


def without_meaning(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Returns the labels that say "nobody knows", among labels with their counts: `-` and `_`, unless there is a `+`;
    -1 where it is rare beside whole numbers from 0. None is a class.

    >>> without_meaning({"a": 9, "b": 9, "-": 9}), without_meaning({"+": 9, "-": 9}), without_meaning({"None": 1})
    (('-',), (), ())
    >>> without_meaning({"0": 99, "1": 99, "-1": 2}), without_meaning({"0": 99, "1": 99, "-1": 80})
    (('-1',), ())
    """
    found = [mark for mark in ("-", "_") if mark in counts and "+" not in counts]
    others = {name: count for name, count in counts.items() if name != "-1" and name not in found}
    if "-1" in counts and len(others) > 1 and all(name.isdigit() for name in others):
        found += ["-1"] if counts["-1"] * _RARE < min(others.values()) else []
    return tuple(found)


def one_spelling(counts: Mapping[str, int]) -> dict[str, str]:
    """Returns label -> the most frequent spelling of its class, for labels with their counts. Labels that differ only
    in case or in the form of a number are one class; where all say yes or no, so are those that say the same.

    >>> one_spelling({"Yes": 3, "yes": 1, "NO": 2, "1": 1, "1.0": 1})
    {'Yes': 'Yes', 'yes': 'Yes', 'NO': 'NO', '1': 'Yes', '1.0': 'Yes'}
    >>> one_spelling({"1": 3, "true": 1, "0": 2})
    {'1': '1', 'true': '1', '0': '0'}
    """
    keys = {name: _key(name) for name in counts}
    says_more = len(set(keys.values())) > 2 and set(keys.values()) <= {*_YES, *_NO}
    keys = {name: _truth(key) if says_more else key for name, key in keys.items()}
    best: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], len(name), name)):
        best.setdefault(keys[name], name)
    return {name: best[key] for name, key in keys.items()}


def spelled(label: str, labels: Sequence[str]) -> str:
    """Gives a label as one of `labels` is spelled; as it is where none of them is meant.

    >>> spelled("YES", ("no", "yes")), spelled("true", ("0", "1")), spelled("1.0", ("1", "2")), spelled("x", ("a", "b"))
    ('yes', '1', '1', 'x')
    """
    if label in labels:
        return label
    by_key, by_truth = _known(tuple(labels))
    return by_key.get(_key(label), by_truth.get(_truth(_key(label)), label))


@cache
def _known(labels: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Labels by what is alike in their spellings, and by the truth they state where they are yes and no."""
    counts = Counter(map(_key, labels))
    by_key = {_key(name): name for name in labels if counts[_key(name)] == 1}
    by_truth = {_truth(key): name for key, name in by_key.items()}
    return by_key, by_truth if set(by_truth) == {_YES[0], _NO[0]} and len(labels) == 2 else {}


def _key(label: str) -> str:
    """What spellings of one class have in common.

    >>> _key("YES"), _key("1.0"), _key("1.50"), _key("100000000000000001"), _key("e\u0301\u200b") == _key("\u00c9")
    ('yes', '1', '1.5', '100000000000000001', True)
    """
    if is_number(label):
        return f"{Decimal(label).normalize():f}"
    shown = "".join(c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) != "Cf")
    return shown.strip().casefold().replace("i\u0307", "i")  # the Turkish capital


def _truth(key: str) -> str:
    return _YES[0] if key in _YES else _NO[0] if key in _NO else key
