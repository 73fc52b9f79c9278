"""Shards of a store, each encoded on a machine of its own, become the store that one machine would have made."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.token_store.corpus import Progress, described, silent
from afterbert.text.token_store.encoded import EncodedPart, EncodedParts
from afterbert.text.token_store.finishing import StoreContents, finish, finished_before
from afterbert.text.token_store.part_files import finished, part_folder
from afterbert.text.token_store.parts import PartReport
from afterbert.text.token_store.shards import Shard, open_shard
from afterbert.text.token_store.store import FILE, Store
from afterbert.text.token_store.workers import ended_by_sigterm
from afterbert.text.token_store.workplace import locked, refusing, work_folder

_ADVICE = "prepare all shards from the same texts, with the same tokenizer, options and version"


class _Opened(NamedTuple):
    folder: Path
    manifest: dict[str, Any]

    @property
    def shard(self) -> Shard:
        return Shard(*self.manifest["shard"])


def merge_shards(
    folders: Sequence[Path],
    out: Path,
    *,
    max_unknown: float = 0.1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """Returns the store made in the folder `out` from the shards in these folders, in whatever order they are named:
    byte for byte what `prepare` makes of all the texts with that tokenizer.

    Memory: some 40 bytes for each document and each 4 kB of long ones. The other arguments are those of `prepare`.
    Raises UserError for shards that are missing, named twice, damaged or of another store.
    """
    tell, out = progress or silent, Path(out)
    shards = _complete([_Opened(Path(folder), open_shard(folder)) for folder in folders])
    first, digests = shards[0].manifest, _digests(shards)
    settings = {**first["settings"], "sources": [digest_of(digest) for digest in digests]}
    with ended_by_sigterm(), locked(out):
        if (store := finished_before(out, settings, overwrite=overwrite)) is not None:
            return store
        work = work_folder(out, settings, last_file=FILE, overwrite=overwrite)
        tokenizer = _tokenizer_of(shards[0])
        policy, held_out = Policy(**settings["policy"]), settings["held_out"]
        parts = EncodedParts.of(_checked(shards, tell), policy, held_out=held_out, dtype=first["dtype"])
        encoded = StoreContents(
            parts=parts,
            tokenizer=tokenizer,
            kind=first["tokenizer"]["kind"],
            planes=first["planes"],
            sources=described(digests, first["layout"]["sizes"], parts.found),
            settings=settings,
        )
        with refusing(work):
            return finish(out, encoded, max_unknown=max_unknown, progress=tell)


def _complete(shards: list[_Opened]) -> list[_Opened]:
    """The shards in order, when they are those of one store, each once. Raises UserError."""
    if not shards:
        raise UserError("no shards are named; name the folders that `afterbert prepare --shard` made")
    shards = sorted(shards, key=lambda one: one.shard)
    first = shards[0]
    for other in shards[1:]:
        changed = _differences(first.manifest, other.manifest)
        if changed:
            raise UserError(
                f"{first.folder} and {other.folder} are no shards of one store: other {', '.join(changed)}; {_ADVICE}"
            )
    for one, other in pairwise(shards):
        if one.shard == other.shard:
            raise UserError(f"{one.folder} and {other.folder} are both shard {one.shard}; name one of them")
    missing = sorted(set(range(1, first.shard.total + 1)) - {one.shard.number for one in shards})
    if missing:
        numbers = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise UserError(
            f"missing of {first.shard.total} shards: {numbers}; prepare them "
            f"(--shard {missing[0]}/{first.shard.total}) and name all"
        )
    return shards


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What should be the same in two shards of a store, and is not."""
    changed = [name for name in ("tokenizer", "dtype") if one[name] != other[name]][:1]
    changed += ["number of shards"] if one["shard"][1] != other["shard"][1] else []
    changed += ["texts"] if one["layout"] != other["layout"] else []
    # Where the tokenizer lay may differ from machine to machine: its digest decides.
    changed += [
        name for name, value in one["settings"].items() if name != "tokenizer" and value != other["settings"][name]
    ]
    return changed


def _digests(shards: Sequence[_Opened]) -> list[dict[str, str]]:
    """For each source, file -> digest. Raises UserError where two machines did not see the same file."""
    found: list[dict[str, str]] = [{} for _ in shards[0].manifest["files"]]
    for shard in shards:
        for known, files in zip(found, shard.manifest["files"]):
            for name, digest in files.items():
                if known.setdefault(name, digest) != digest:
                    raise UserError(
                        f"{name} was another file when {shard.folder} was prepared than for the shards before it; "
                        f"{_ADVICE}"
                    )
    return found


def _tokenizer_of(shard: _Opened) -> Tokenizer:
    """The tokenizer that made the pieces of this shard. Raises UserError when another one lies there now."""
    folder, expected = shard.folder / "tokenizer", shard.manifest["tokenizer"]["digest"]
    tokenizer = Tokenizer.load(folder)
    if tokenizer.digest != expected:
        raise UserError(
            f"{folder} has the digest {tokenizer.digest[:12]}, shard.json says {expected[:12]}; copy the shard again, "
            f"or delete it and prepare shard {shard.shard} anew"
        )
    return tokenizer


def _checked(shards: Sequence[_Opened], tell: Progress) -> list[EncodedPart]:
    """All parts in their order, each read once to see that it is whole. Raises UserError."""
    parts = []
    for number, shard in enumerate(shards):
        for part in shard.manifest["parts"]:
            folder = part_folder(shard.folder / "parts", part)
            report = finished(folder)
            if report is None:
                raise UserError(
                    f"{folder} is damaged or incomplete; copy the shard again, or delete it and prepare "
                    f"shard {shard.shard} anew"
                )
            parts.append(EncodedPart(folder, PartReport(*report)))
        tell(number + 1, len(shards), "checking")
    assert [p.folder.name for p in parts] == [part_folder(Path(), n).name for n in range(len(parts))]
    return parts
