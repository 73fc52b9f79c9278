"""The last step to a store, whoever encoded its parts: the files, then the manifest that tells of them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert import __version__
from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of, write_sealed
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.changes import changes_of
from afterbert.text.pieces.tokenizer import FILE as TOKENIZER_FILE
from afterbert.text.pieces.tokenizer import SETTINGS_FILE, Tokenizer
from afterbert.text.pieces.unknown import UnknownPieces
from afterbert.text.planes import Plane
from afterbert.text.token_store.array_files import record_of
from afterbert.text.token_store.coverage import warn_of_nothing_found
from afterbert.text.token_store.encoded import EncodedParts
from afterbert.text.token_store.merging import Merge, Merged
from afterbert.text.token_store.sections import FATES
from afterbert.text.token_store.store import FILE, FORMAT, Store
from afterbert.text.token_store.workplace import WORK
from afterbert.text.tokenizers import TokenizerRecipe

WITHOUT_PIECES = "nothing left by the tokenizer"
UNKNOWN = "pieces that the tokenizer does not know"


@dataclass(frozen=True)
class StoreContents:
    """The contents of a store to be. planes, sources, settings: as the manifest holds them; kind: the tokenizer
    recipe's name."""

    parts: EncodedParts
    tokenizer: Tokenizer
    kind: str
    planes: Mapping[str, Any]
    sources: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]


def finish(out: Path, encoded: StoreContents, *, max_unknown: float, progress: Any, least_pieces: int = 128) -> Store:
    """Writes the store in place of what stands there, removes what was done on the way, and opens it. Raises
    UserError where too few pieces are to be trained on, or a larger share than max_unknown is unknown; then nothing
    is written."""
    unknown = _unknown(encoded, max_unknown)  # first: what is one unknown piece a line is few pieces, too
    pieces, _ = encoded.parts.counts
    if pieces < least_pieces:
        raise UserError(
            f"the texts make only {pieces:,} pieces to train on, at least {least_pieces:,} are needed; add more text"
        )
    (out / FILE).unlink(missing_ok=True)
    for name in (*FATES, "tokenizer"):
        shutil.rmtree(out / name, ignore_errors=True)
    written = _written(out, encoded, unknown, progress)
    write_sealed(out / FILE, written | {"settings": encoded.settings})
    shutil.rmtree(out / WORK, ignore_errors=True)
    store = Store.open(out)
    warn_of_nothing_found(store, encoded.planes)
    return store


def finished_before(out: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> Store | None:
    """Returns the whole store that lies there, or None. Raises UserError if it is damaged or was made with other
    settings; with `overwrite` it then counts as absent."""
    if not (out / FILE).exists():
        return None
    try:
        store = Store.open(out)
        before = store.manifest["settings"]
        names = dict.fromkeys([*settings, *before])
        changed = [name for name in names if settings.get(name) != before.get(name) and name != "made_by"]
        if changed:
            raise UserError(
                f"{out} holds a finished store that was made with other {', '.join(changed)}; name a new folder, or "
                "say --overwrite"
            )
    except UserError:
        if not overwrite:
            raise
        return None
    shutil.rmtree(out / WORK, ignore_errors=True)  # left where it was killed after its very last step
    return store


def settings_of(
    tokenizer: TokenizerRecipe, planes: Mapping[str, Plane], policy: Policy, held_out: float
) -> dict[str, Any]:
    """Gives the version and all that decides, beside the texts, on what a store holds."""
    return {
        "made_by": f"afterbert {__version__}",
        "tokenizer": to_plain(tokenizer),
        "planes": {name: to_plain(plane.settled()) for name, plane in planes.items()},
        "policy": to_plain(policy),
        "held_out": held_out,
    }


def by_name(planes: Sequence[Plane]) -> dict[str, Plane]:
    """Returns the planes under the names they have in a store."""
    return {plugins.name_of(plane): plane for plane in planes}


def described(planes: Mapping[str, Plane]) -> dict[str, Any]:
    """Returns the manifest's description of the planes."""
    return {name: {"width": plane.width, "settings": to_plain(plane.settled())} for name, plane in planes.items()}


def _written(out: Path, encoded: StoreContents, unknown: int, progress: Any) -> dict[str, Any]:
    """Writes the files of the store; the manifest that tells of them."""
    tokenizer, found = encoded.tokenizer, encoded.parts.found
    tokenizer.save(out / "tokenizer")
    widths = {name: plane["width"] for name, plane in encoded.planes.items()}
    merge = Merge(encoded.parts, out, widths)
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
    _, without_pieces = encoded.parts.counts
    if without_pieces:
        tally.dropped[WITHOUT_PIECES] = without_pieces
        tally.kept -= without_pieces
    if unknown:
        tally.noticed[UNKNOWN] = unknown
    about = {
        "digest": tokenizer.digest,
        "vocab_size": tokenizer.vocabulary.size,
        "kind": encoded.kind,
        "changes": changes_of(tokenizer, found.characters),
        "unknown": unknown,
    }
    return {
        "format": FORMAT,
        "fingerprint": digest_of([record["fingerprint"] for record in merged.splits.values()]),
        "dtype": encoded.parts.dtype,
        "tokenizer": about,
        "languages": found.languages,
        "planes": dict(encoded.planes),
        "splits": merged.splits,
        "files": merged.files,
        "sources": list(encoded.sources),
        "tally": vars(tally),
    }


def _unknown(encoded: StoreContents, most: float) -> int:
    """How many pieces of all splits are unknown. Raises UserError for a larger share than `most`."""
    unk = encoded.tokenizer.vocabulary.unk
    if unk is None:
        return 0
    found = UnknownPieces()
    for split in FATES:
        for block in encoded.parts.column(split, "pieces"):
            found += UnknownPieces(int((block == unk).sum()), len(block))
    found.check(most)
    return found.unknown
