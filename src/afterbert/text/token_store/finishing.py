"""The last step to a store, whoever encoded its parts: the files, then the manifest that tells of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of, write_sealed
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import FILE as TOKENIZER_FILE
from afterbert.text.pieces.tokenizer import SETTINGS_FILE, Tokenizer
from afterbert.text.planes import Plane
from afterbert.text.token_store.array_files import record_of
from afterbert.text.token_store.coverage import warn_of_nothing_found
from afterbert.text.token_store.merging import Columns, Merge, Merged
from afterbert.text.token_store.sections import FATES
from afterbert.text.token_store.store import FILE, FORMAT, Store
from afterbert.text.token_store.survey import Survey
from afterbert.text.token_store.workplace import WORK
from afterbert.text.tokenizers import TokenizerRecipe

WITHOUT_PIECES = "nothing left by the tokenizer"
UNKNOWN = "pieces that the tokenizer does not know"
# A model of more unknown pieces learns little else, and looks good at it.
_MOST_UNKNOWN = 0.1
_BLOCK = 1 << 24


@dataclass(frozen=True)
class StoreContents:
    """The contents of a store to be. columns, dtype: of the encoded parts; pieces: to train on; without_pieces: kept
    documents of which the tokenizer left nothing; planes, sources, settings: as the manifest holds them; kind:
    the tokenizer recipe's name."""

    columns: Columns
    dtype: str
    pieces: int
    without_pieces: int
    tokenizer: Tokenizer
    kind: str
    planes: Mapping[str, Any]
    found: Survey
    sources: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]


def finish(out: Path, encoded: StoreContents, *, least_pieces: int, progress: Any) -> Store:
    """Writes the store, removes what was done on the way, and opens it. Raises UserError."""
    if encoded.pieces < least_pieces:
        raise UserError(
            f"the texts make only {encoded.pieces:,} pieces to train on, at least {least_pieces:,} are needed; add "
            "more text"
        )
    write_sealed(out / FILE, _written(out, encoded, progress) | {"settings": encoded.settings})
    shutil.rmtree(out / WORK, ignore_errors=True)
    store = Store.open(out)
    warn_of_nothing_found(store, encoded.planes)
    return store


def finished_before(out: Path, settings: Mapping[str, Any]) -> Store | None:
    """The store that lies there whole, None where there is none. Raises UserError when it was made otherwise."""
    if not (out / FILE).exists():
        return None
    store = Store.open(out)
    before = store.manifest["settings"]
    changed = [name for name in settings if settings[name] != before.get(name) and name != "made_by"]
    if changed:
        raise UserError(
            f"{out} holds a finished store that was made with other {', '.join(changed)}; name a new folder, or "
            "delete that one"
        )
    shutil.rmtree(out / WORK, ignore_errors=True)  # left where it was killed after its very last step
    return store


def settings_of(
    tokenizer: TokenizerRecipe, planes: Mapping[str, Plane], policy: Policy, held_out: float
) -> dict[str, Any]:
    """Gives all that decides, beside the texts, on what a store holds."""
    return {
        "tokenizer": to_plain(tokenizer),
        "planes": {name: to_plain(plane.settled()) for name, plane in planes.items()},
        "policy": to_plain(policy),
        "held_out": held_out,
    }


def by_name(planes: Sequence[Plane]) -> dict[str, Plane]:
    """The planes under the names they have in a store."""
    return {plugins.name_of(plane): plane for plane in planes}


def described(planes: Mapping[str, Plane]) -> dict[str, Any]:
    """The planes as the manifest tells of them."""
    return {
        name: {"width": plane.width, "settings": to_plain(plane.settled())} for name, plane in planes.items()
    }


def _written(out: Path, encoded: StoreContents, progress: Any) -> dict[str, Any]:
    """Writes the files of the store; the manifest that tells of them."""
    tokenizer, found = encoded.tokenizer, encoded.found
    tokenizer.save(out / "tokenizer")
    widths = {name: plane["width"] for name, plane in encoded.planes.items()}
    merge = Merge(encoded.columns, out, encoded.dtype, widths, tuple(found.languages))
    merged = Merged()
    for number, split in enumerate(FATES):
        merge.split(split, merged)
        progress(number + 1, len(FATES), "writing")
    for split, record in merged.splits.items():
        digests = {name: file["sha256"] for name, file in merged.files.items() if name.startswith(split)}
        record["fingerprint"] = digest_of([tokenizer.digest, digests])
    for file in (TOKENIZER_FILE, SETTINGS_FILE):
        merged.files[f"tokenizer/{file}"] = record_of(out / "tokenizer" / file)
    tally = found.tally
    if encoded.without_pieces:
        tally.dropped[WITHOUT_PIECES] = encoded.without_pieces
        tally.kept -= encoded.without_pieces
    if unknown := _unknown(out, encoded, merged):
        tally.noticed[UNKNOWN] = unknown
    about = {"digest": tokenizer.digest, "vocab_size": tokenizer.vocabulary.size, "kind": encoded.kind}
    return {
        "format": FORMAT,
        "fingerprint": digest_of([record["fingerprint"] for record in merged.splits.values()]),
        "dtype": encoded.dtype,
        "tokenizer": about,
        "languages": found.languages,
        "planes": dict(encoded.planes),
        "splits": merged.splits,
        "files": merged.files,
        "sources": list(encoded.sources),
        "tally": vars(tally),
    }


def _unknown(out: Path, encoded: StoreContents, merged: Merged) -> int:
    """How many pieces of all splits are unknown. Raises UserError for more than a tenth of them."""
    unk = encoded.tokenizer.vocabulary.unk
    if unk is None:
        return 0
    found = total = 0
    for split in FATES:
        count = merged.splits[split]["pieces"]
        total += count
        if count:
            pieces = np.memmap(out / split / "pieces.bin", dtype=encoded.dtype, mode="r", shape=(count,))
            found += sum(int((pieces[at : at + _BLOCK] == unk).sum()) for at in range(0, count, _BLOCK))
    if found > _MOST_UNKNOWN * total:
        raise UserError(
            f"the tokenizer does not know {found:,} of the {total:,} pieces of these texts ({found / total:.0%}), more "
            f"than {_MOST_UNKNOWN:.0%} teach a model nothing; take one that knows every text: --tokenizer bpe or "
            "--tokenizer byte_level_bpe"
        )
    return found
