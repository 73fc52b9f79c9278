"""Shards of a store, each encoded on a machine of its own, become the store that one machine would have made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import starts_of
from afterbert.base.sealed import digest_of
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.token_store.corpus import Progress, check_languages, described, silent
from afterbert.text.token_store.finishing import StoreContents, finish, finished_before
from afterbert.text.token_store.near_duplicates import PERMUTATIONS
from afterbert.text.token_store.part_files import READ_VALUES, column_dtype, finished, part_folder
from afterbert.text.token_store.parts import DOCUMENT_PLANE
from afterbert.text.token_store.sections import FATES, Contents, SectionRuns
from afterbert.text.token_store.shards import ALL, Shard, ShardPartReport, open_shard
from afterbert.text.token_store.store import FILE, Store
from afterbert.text.token_store.survey import PartSurvey, Survey, gathered
from afterbert.text.token_store.workers import ended_by_sigterm
from afterbert.text.token_store.workplace import locked, refusing, work_folder

_ADVICE = "prepare all shards from the same texts, with the same tokenizer, options and version"


class _Opened(NamedTuple):
    folder: Path
    manifest: dict[str, Any]

    @property
    def shard(self) -> Shard:
        return Shard(*self.manifest["shard"])


class _Part(NamedTuple):
    folder: Path
    report: ShardPartReport


def merge_shards(
    folders: Sequence[Path],
    out: Path,
    *,
    least_pieces: int = 128,
    max_unknown: float = 0.1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Store:
    """The store in the folder `out` of the shards in these folders, in whatever order they are named: byte for
    byte what `prepare` makes of all the texts with that tokenizer.

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
        parts = _checked(shards, tell)
        found = _surveyed(parts, Policy(**settings["policy"]), settings["held_out"])
        joined = Joined(tuple(parts), found, first["dtype"])
        encoded = StoreContents(
            columns=joined.column,
            dtype=first["dtype"],
            pieces=joined.counts[0],
            without_pieces=joined.counts[1],
            tokenizer=tokenizer,
            kind=first["tokenizer"]["kind"],
            planes=first["planes"],
            found=found,
            sources=described(digests, first["layout"]["sizes"], found),
            settings=settings,
        )
        with refusing(work):
            return finish(out, encoded, least_pieces=least_pieces, max_unknown=max_unknown, progress=tell)


@dataclass(frozen=True)
class Joined:
    """Parts that hold all their documents, and what the survey of all of them says of each document."""

    parts: tuple[_Part, ...]
    found: Survey
    dtype: str

    def column(self, split: str, name: str) -> Iterator[np.ndarray]:
        """The values of a column for the documents of a split, through all parts, in blocks of bounded size."""
        for number, part in enumerate(self.parts):
            lengths, fates, runs = self._sections(number)
            mine = runs.in_split(split)
            if not mine.any():
                continue
            if name == "documents":
                yield runs.lengths[mine]
            elif name == "languages":
                codes = [self.found.languages.index(language) for language in part.report.languages]
                yield np.array(codes)[_whole(part.folder, "languages")[runs.documents[mine]]]
            elif name == "halves":
                yield np.zeros(int(mine.sum()), np.uint8)
            elif name == DOCUMENT_PLANE:
                yield runs.begin_at(split)
            else:
                yield from _pieces_of(part.folder, name, self.dtype, lengths, fates == FATES[split])

    @cached_property
    def counts(self) -> tuple[int, int]:
        """Pieces to train on; documents that are kept but have no piece."""
        pieces = without = 0
        for number in range(len(self.parts)):
            _, _, runs = self._sections(number)
            pieces += int(runs.lengths[runs.in_split("train")].sum())
            without += runs.without_pieces()
        return pieces, without

    def _sections(self, number: int) -> tuple[np.ndarray, np.ndarray, SectionRuns]:
        """int64 [S]: how many pieces each section of a part has; uint8 [S]: what becomes of it; the documents they
        make."""
        fates = self.found.fates[slice(*self.found.part_sections[[number, number + 1]])]
        counts, lengths = (_whole(self.parts[number].folder, name) for name in ("documents", "sections"))
        return lengths, fates, SectionRuns.of(counts, lengths, fates)


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


def _checked(shards: Sequence[_Opened], tell: Progress) -> list[_Part]:
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
            parts.append(_Part(folder, ShardPartReport(*report)))
        tell(number + 1, len(shards), "checking")
    assert [p.folder.name for p in parts] == [part_folder(Path(), n).name for n in range(len(parts))]
    return parts


def _surveyed(parts: Sequence[_Part], policy: Policy, held_out: float) -> Survey:
    found = [
        PartSurvey(
            Contents(*(_whole(part.folder, name) for name in ("hashes", "documents", "section_hashes", "sizes"))),
            frozenset(part.report.languages),
            dict(part.report.characters),
            Tally.from_json(part.report.tally),
            _whole(part.folder, "sketches").reshape(-1, PERMUTATIONS),
        )
        for part in parts
    ]
    survey = gathered(found, policy, held_out=held_out)
    check_languages(survey.languages)
    return survey


def _whole(folder: Path, name: str) -> np.ndarray:
    """One value a document or a section: all of a column of a part."""
    kind, path = column_dtype(name, ""), folder / f"{ALL}.{name}"
    return np.fromfile(path, kind) if path.exists() else np.zeros(0, kind)


def _pieces_of(folder: Path, name: str, dtype: str, lengths: np.ndarray, wanted: np.ndarray) -> Iterator[np.ndarray]:
    """A column of pieces for the sections [S] that are wanted, some megabytes at a time."""
    kind, starts = np.dtype(column_dtype(name, dtype)), starts_of(lengths)
    cuts = np.searchsorted(starts, np.arange(0, starts[-1], READ_VALUES))
    with open(folder / f"{ALL}.{name}", "rb") as file:
        for begin, end in pairwise([*np.unique(cuts), len(lengths)]):
            if wanted[begin:end].any():
                file.seek(int(starts[begin]) * kind.itemsize)
                block = np.fromfile(file, kind, int(starts[end] - starts[begin]))
                yield block[np.repeat(wanted[begin:end], lengths[begin:end])]
