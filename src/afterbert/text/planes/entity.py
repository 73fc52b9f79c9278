"""Entities: names that a list gives, often with a type (person, place, ...).

Source: the third stage of ERNIE 1.0 (1904.09223, Section 3.2.3) and the named entities of SpanBERT's comparison
(1907.10529, Section 6.1), both from a tagger that looks at every sentence; here a list decides.
"""

from dataclasses import dataclass

from afterbert.text.planes._listed import Case, ListedUnits


@dataclass(frozen=True)
class Entity(ListedUnits):
    """Case counts unless the settings say otherwise: names are told from words by it (`May`, `Bush`)."""

    case: Case = "kept"
