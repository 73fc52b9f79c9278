"""Several token stores as one, or the languages of one, mixed by a law: a small folder that names them, opened like a
store.

    mixture.json          the stores, where they are and what they were, and the law
    tokenizer/            a copy of theirs; it is the same for all

The splits are the stores' one behind the other; which rows a run reads, and how often, is the law's business
(`objectives/parts/blending.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.config import build, digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.mixing import Mixing
from afterbert.base.places import remembered, where
from afterbert.base.rows import starts_of
from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.base.tree import parse
from afterbert.text.files.documents import Tally
from afterbert.text.pieces.tokenizer import FILE as TOKENIZER_FILE
from afterbert.text.pieces.tokenizer import SETTINGS_FILE
from afterbert.text.token_store.array_files import record_of
from afterbert.text.token_store.by_language import by_language
from afterbert.text.token_store.store import FILE as STORE_FILE
from afterbert.text.token_store.store import SPLITS, Split, Store
from afterbert.text.token_store.verification import Verification

FILE = "mixture.json"
TOKENIZER_FILES = (TOKENIZER_FILE, SETTINGS_FILE)


def open_store(folder: Path, *, wait: bool = True) -> Store:
    """Opens what lies in this folder: one store, or several as one. wait: see `Store.open`. Raises UserError as both
    do."""
    folder = Path(folder)
    if (folder / FILE).is_file():
        return MixtureStore.opened(folder, wait=wait)
    return Store.open(folder, wait=wait)


def mix_stores(stores: Mapping[str, Store], mixing: Mixing, out: Path) -> MixtureStore:
    """Writes the folder `out`. Raises UserError if the stores cannot be read as one: another tokenizer, other planes;
    or where the law does not know them."""
    first = next(iter(stores.values()))
    for store in stores.values():
        store.check_made_with(
            first.tokenizer,
            whose=str(first.folder),
            remedy=f"prepare one of them anew with --tokenizer {first.folder / 'tokenizer'}",
        )
        if {name: _width(store, name) for name in store.planes} != {n: _width(first, n) for n in first.planes}:
            raise UserError(
                f"{store.folder} has the planes {', '.join(store.planes)}, but {first.folder} has "
                f"{', '.join(first.planes)}; prepare them alike"
            )
    parts = _parts(stores, "train")
    if len(parts) < 2:
        raise UserError(f"{first.folder} holds one language, so nothing is to be mixed; leave the mixing out")
    mixing.shares({name: max(1, part.num_pieces) for name, part in parts.items()})
    out.mkdir(parents=True, exist_ok=True)
    first.tokenizer.save(out / "tokenizer")
    record = {
        "stores": {
            name: remembered(store.folder, by=out) | {"fingerprint": store.fingerprint}
            for name, store in stores.items()
        },
        "mixing": to_plain(mixing),
        "files": {f"tokenizer/{file}": record_of(out / "tokenizer" / file) for file in TOKENIZER_FILES},
    }
    write_sealed(out / FILE, record)
    return MixtureStore.opened(out)


def find_store(places: Iterable[Path], fingerprint: str, *, wait: bool = True) -> Store:
    """Opens the first of these places that holds the store with this fingerprint. wait: see `Store.open`. Raises
    UserError that names the places when none does."""
    tried = []
    for place in dict.fromkeys(places):
        if is_store(place):
            store = open_store(place, wait=wait)
            if store.fingerprint == fingerprint:
                return store
        tried.append(str(place))
    raise UserError(
        f"the token store with the fingerprint {fingerprint[:12]} is not at {' or '.join(tried)}; move it back, or "
        "name the place where it lies now"
    )


def is_store(folder: Path) -> bool:
    """Returns whether a store, or a mixture of stores, lies there."""
    return any((folder / file).is_file() for file in (STORE_FILE, FILE))


class MixtureStore(Store):
    """stores: name -> store; mixing: the law between them. All else as one store has it."""

    def __init__(
        self, folder: Path, stores: Mapping[str, Store], mixing: Mixing, files: Mapping[str, Mapping[str, Any]]
    ):
        self.folder, self.stores, self.mixing = folder, dict(stores), mixing
        first = next(iter(stores.values()))
        self.manifest = first.manifest
        self.planes = first.planes
        self.languages = tuple(dict.fromkeys(name for store in stores.values() for name in store.languages))
        made_of = {"mixing": to_plain(mixing), "stores": {n: s.fingerprint for n, s in stores.items()}}
        self.fingerprint = digest(made_of, length=64)
        self._told_languages = None
        others = [store.verification for store in stores.values()]
        self.verification = Verification(folder, files, others=others)

    @classmethod
    def opened(cls, folder: Path, *, wait: bool = True) -> MixtureStore:
        """Opens the mixture in a folder. wait: see `Store.open`. Raises UserError if a store is not there or is another
        one now."""
        path = folder / FILE
        record = read_sealed(path, remedy="name the stores again")
        stores = {
            name: find_store(where(one, by=folder), one["fingerprint"], wait=wait)
            for name, one in record["stores"].items()
        }
        mixing = build(Mixing, parse(json.dumps(record["mixing"]), label=str(path)))
        store = cls(folder, stores, mixing, record["files"])
        store.verification.begin(wait=wait)
        return store

    def split(self, name: str) -> JoinedSplit:
        """Returns the stores' splits one after the other; for one store, its parts in each language."""
        splits, codes = _parts(self.stores, name), [np.arange(len(self.languages), dtype=np.uint8)]
        if len(self.stores) > 1:
            codes = [
                np.array([self.languages.index(one) for one in store.languages], dtype=np.uint8)
                for store in self.stores.values()
            ]
        codes *= len(splits) // len(codes)
        return JoinedSplit(splits, codes, self.mixing, f"{self.fingerprint}/{name}", self._told_languages)

    @cached_property
    def tally(self) -> Tally:
        """The account of what was read for all of them."""
        return reduce(Tally.__add__, (store.tally for store in self.stores.values()))

    def summary(self) -> dict[str, Any]:
        """Returns a summary of the mixture in the form of one store's; a store is a source."""
        each = {name: store.summary() for name, store in self.stores.items()}
        first = next(iter(each.values()))
        return {
            "store": str(self.folder),
            "fingerprint": self.fingerprint,
            "mixing": to_plain(self.mixing),
            "splits": {
                split: {
                    key: sum(one["splits"][split][key] for one in each.values())
                    for key in ("documents", "pieces", "sentences")
                }
                for split in SPLITS
            },
            "tally": self._account(),
            "sources": [
                {"name": n, "bytes": one["tally"]["bytes"], "documents": one["tally"]["kept"]}
                for n, one in each.items()
            ],
            "tokenizer": first["tokenizer"],
        }


class JoinedSplit(Split):
    """parts: name of a store -> its split; they stand one behind the other. mixing: the law between them."""

    def __init__(
        self,
        parts: Mapping[str, Split],
        codes: Sequence[np.ndarray],
        mixing: Mixing,
        fingerprint: str,
        told_languages: np.ndarray | None,
    ):
        self.mixing, self._codes = mixing, list(codes)
        first = next(iter(parts.values()))
        self.name, self.fingerprint, self.told_languages = first.name, fingerprint, told_languages
        self.plane_names, self.plane_widths = first.plane_names, first.plane_widths
        if told_languages is not None:
            for part, code in zip(parts.values(), codes):
                part.told_languages = part.pairs[0].told_languages = told_languages[code]
        self.parts = dict(parts)
        self._starts = starts_of(np.array([part.num_pieces for part in parts.values()]))
        self.num_pieces = int(self._starts[-1])
        self.num_documents = sum(part.num_documents for part in parts.values())

    @cached_property
    def document_starts(self) -> np.ndarray:
        return self._shifted([part.document_starts for part in self.parts.values()])

    @cached_property
    def sentence_starts(self) -> np.ndarray:
        return self._shifted([part.sentence_starts for part in self.parts.values()])

    @cached_property
    def languages(self) -> np.ndarray:
        return np.concatenate([code[part.languages] for code, part in zip(self._codes, self.parts.values())])

    @property
    def pairs(self) -> tuple[Split, np.ndarray]:
        found = [part.pairs for part in self.parts.values()]
        if found[0][0] not in self.parts.values():  # languages of one store, whose pairs lie there
            return found[0][0], np.sort(np.concatenate([firsts for _, firsts in found]))
        before = starts_of(np.array([part.num_documents for part in self.parts.values()]))
        return self, np.concatenate([firsts + offset for (_, firsts), offset in zip(found, before)])

    def pieces(self, index: np.ndarray) -> np.ndarray:
        return self._gathered(index, np.int32, lambda part, own: part.pieces(own))

    def plane(self, name: str, index: np.ndarray) -> np.ndarray:
        width = self.plane_widths.get(name, 1)
        return self._gathered(index, np.bool_ if width == 1 else np.uint8, lambda part, own: part.plane(name, own))

    def _shifted(self, starts: Sequence[np.ndarray]) -> np.ndarray:
        moved = [own[:-1] + offset for own, offset in zip(starts, self._starts)]
        return np.concatenate([*moved, self._starts[-1:]])

    def _gathered(self, index: np.ndarray, dtype: type, read: Callable[[Split, np.ndarray], np.ndarray]) -> np.ndarray:
        """What each part says of the offsets [N] that fall into it."""
        index = np.asarray(index)
        part_of = np.searchsorted(self._starts, index, side="right") - 1
        found: np.ndarray = np.empty(index.shape, dtype=dtype)
        for number, part in enumerate(self.parts.values()):
            is_mine = part_of == number
            if is_mine.any():
                found[is_mine] = read(part, index[is_mine] - self._starts[number])
        return found


def _parts(stores: Mapping[str, Store], split: str) -> Mapping[str, Split]:
    """What the law is between: the stores, or the languages of the only one."""
    splits = {name: store.split(split) for name, store in stores.items()}
    if len(splits) > 1:
        return splits
    (store,), (whole,) = stores.values(), splits.values()
    return by_language(whole, store.languages) or splits


def _width(store: Store, plane: str) -> int:
    return int(store.planes[plane]["width"])
