"""How much of a store's text lies in units that do not cover it: phrases, entities."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from afterbert.text.token_store.store import SPLITS, Store


@dataclass(frozen=True)
class Coverage:
    """units: in all splits; share: of their pieces among all; by_type: units of each type, most first, those
    without a type under an empty name."""

    name: str
    units: int
    share: float
    by_type: dict[str, int]

    def __str__(self) -> str:
        """
        >>> print(Coverage("entity", 30, 0.0123, {"person": 20, "": 10}))
        entity: 30 found, 1.2% of all pieces (person 20, without a type 10)
        """
        said = f"{self.name}: {self.units:,} found, {self.share:.1%} of all pieces"
        kinds = ", ".join(f"{kind or 'without a type'} {count:,}" for kind, count in self.by_type.items())
        return f"{said} ({kinds})" if any(self.by_type) else said


def coverage_of(store: Store, name: str) -> Coverage:
    """Counts what the plane `name` marks in a store; it is one of several bits."""
    types = ("", *(store.planes[name]["settings"].get("types") or ()))
    units, covered = np.zeros(64, dtype=np.int64), 0
    for values in _values(store, name):
        units += np.bincount(values[values & 1 > 0] >> 2, minlength=64)
        covered += int((values & 2 > 0).sum())
    total = sum(store.split(split).num_pieces for split in SPLITS)
    by_type = {kind: int(count) for kind, count in zip(types, units) if count}
    ranked = sorted(by_type.items(), key=lambda pair: -pair[1])
    return Coverage(name, int(units.sum()), covered / max(1, total), dict(ranked))


def warn_of_nothing_found(store: Store, planes: Iterable[str]) -> None:
    """Warns of each of these planes when it may lack units and none was found."""
    for name in planes:
        if store.planes[name]["width"] > 1 and not any(values.any() for values in _values(store, name)):
            settings = store.planes[name]["settings"]
            listed = f": of the {settings['entries']:,} entries of {settings['file']} none stands there"
            warnings.warn(
                f"plane {name} marks nothing in these texts{listed if 'entries' in settings else ''}; look at "
                "language, spelling and case",
                stacklevel=3,
            )


def _values(store: Store, name: str) -> Iterator[np.ndarray]:
    """The plane's values in all splits, in blocks."""
    return (split.plane(name, np.array(block)) for split in map(store.split, SPLITS) for block in split.blocks())
