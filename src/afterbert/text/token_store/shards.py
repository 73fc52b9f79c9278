"""Preparation on many machines: each encodes its shard of the texts without a word from the others, then one of
them puts the shards together.

A shard is a run of neighbouring parts, so the store that comes out is that of one machine, byte for byte. Which
documents are held out, and which were seen twice, is settled when the shards meet.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of, read_sealed, write_sealed
from afterbert.text.files.policy import Policy
from afterbert.text.planes import Plane
from afterbert.text.sources import Source, SourcePart
from afterbert.text.sources.parallel import ParallelText
from afterbert.text.token_store.corpus import Corpus, Progress, dtype_for, silent, stamps_of
from afterbert.text.token_store.finishing import by_name, described, settings_of
from afterbert.text.token_store.prepare import PLANES
from afterbert.text.token_store.workers import ended_by_sigterm
from afterbert.text.token_store.workplace import WORK, locked, work_folder
from afterbert.text.tokenizers import TokenizerRecipe

FILE = "shard.json"
FORMAT = 3


class Shard(NamedTuple):
    """The share `number` (from 1) of `total`."""

    number: int
    total: int

    @classmethod
    def of(cls, written: str) -> Shard:
        """Returns the shard written as NUMBER/COUNT. Raises UserError.

        >>> Shard.of("3/8")
        Shard(number=3, total=8)
        >>> Shard.of("0/8")
        Traceback (most recent call last):
        afterbert.base.errors.UserError: --shard is '0/8', must be NUMBER/COUNT with NUMBER from 1 to COUNT, such as 3/8
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", written.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UserError(f"--shard is '{written}', must be NUMBER/COUNT with NUMBER from 1 to COUNT, such as 3/8")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def parts(self, sizes: Sequence[int]) -> range:
        """Returns the numbers of the shard's parts, among parts with these sizes in bytes: those whose middle lies in
        its stretch of the whole.

        >>> [list(Shard(n, 3).parts([4, 4, 4, 2, 10])) for n in (1, 2, 3)]
        [[0, 1], [2, 3], [4]]
        """
        counted = np.maximum(1, np.asarray(sizes, dtype=np.int64))
        ends = np.cumsum(counted)
        owner = (2 * ends - counted) * self.total // (2 * ends[-1])
        return range(*np.searchsorted(owner, [self.number - 1, self.number]).tolist())


def prepare_shard(
    sources: Sequence[Source],
    out: Path,
    shard: Shard,
    *,
    tokenizer: TokenizerRecipe,
    planes: Sequence[Plane] = PLANES,
    policy: Policy | None = None,
    held_out: float = 0.02,
    processes: int = 1,
    progress: Progress | None = None,
) -> None:
    """Encodes one shard of these sources into the folder `out`, for `merge_shards`. Every machine names all the
    texts, and the same tokenizer, which must be there already. Goes on after an interruption. Raises UserError.

    A file is read once for its digest by every machine that has a share of it.
    """
    if tokenizer.sample_bytes(1):
        raise UserError(
            "a shard needs a tokenizer that is there already, the same for all; make it first "
            "(afterbert prepare TEXTS --tokenizer-only --out tokenizer) and name its folder: --tokenizer tokenizer"
        )
    if not sources:
        raise UserError("no sources are given; name files or folders")
    if any(isinstance(source, ParallelText) for source in sources):
        raise UserError("parallel text is prepared on one machine; leave --shard out, or the pairs")
    corpus = Corpus(tuple(sources), policy or Policy(), held_out, processes, progress or silent)
    mine = [(number, corpus.parts[number]) for number in shard.parts([part.num_bytes for part in corpus.parts])]
    named, made, out = by_name(planes), tokenizer.make([], corpus_bytes=0), Path(out)
    corpus.check_pieces(made)
    stamps = stamps_of(part for _, part in mine)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "shard": list(shard),
        "layout": _layout(corpus),
        "dtype": dtype_for(made),
        "tokenizer": {"digest": made.digest, "kind": plugins.name_of(tokenizer)},
        "planes": described(named),
        "settings": settings_of(tokenizer, named, corpus.policy, held_out),
        "files": _file_digests(corpus, mine),
        "parts": [number for number, _ in mine],
    }
    with ended_by_sigterm(), locked(out):
        if (out / FILE).exists():
            _check_same_as_before(out, manifest)
            return
        work = work_folder(out, manifest, last_file=FILE)
        corpus.encode(made, named, work, stamps=stamps, numbers=manifest["parts"])
        shutil.rmtree(out / "parts", ignore_errors=True)
        work.rename(out / "parts")
        made.save(out / "tokenizer")
        write_sealed(out / FILE, manifest)
        shutil.rmtree(out / WORK)


def open_shard(folder: Path) -> dict[str, Any]:
    """Reads what `prepare_shard` wrote of itself. Raises UserError."""
    path = Path(folder) / FILE
    if not path.exists():
        if (path.parent / WORK).is_dir():
            raise UserError(f"the shard in {folder} is not finished; start it again, it goes on where it was")
        raise UserError(f"{folder} holds no {FILE}; name folders that `afterbert prepare --shard` made")
    manifest = read_sealed(path, remedy="copy the shard again or prepare it anew")
    if manifest["format"] != FORMAT:
        raise UserError(
            f"{path} has format {manifest['format']}, this version of afterbert reads {FORMAT}; prepare and merge all "
            "shards with one version"
        )
    return manifest


def _layout(corpus: Corpus) -> dict[str, Any]:
    """How the texts fall into parts: equal on all machines when they see the same files."""
    seen = [
        [number, part.start, part.stop, part.num_bytes]
        for number, parts in enumerate(corpus.parts_of)
        for part in parts
    ]
    return {"digest": digest_of(seen), "sizes": [[part.num_bytes for part in parts] for parts in corpus.parts_of]}


def _file_digests(corpus: Corpus, mine: Iterable[tuple[int, SourcePart]]) -> list[dict[str, str]]:
    """For each source, the digests of the files that this shard reads."""
    source_of = np.repeat(np.arange(len(corpus.parts_of)), [len(parts) for parts in corpus.parts_of])
    found: list[dict[str, str]] = [{} for _ in corpus.parts_of]
    last: Source | None = None
    for number, part in mine:
        if part.source is not last and part.source != last:
            found[source_of[number]].update(part.source.digest())
        last = part.source
    return found


def _check_same_as_before(out: Path, manifest: Mapping[str, Any]) -> None:
    before = open_shard(out)
    changed = [name for name in manifest if manifest[name] != before.get(name)]
    if changed:
        raise UserError(
            f"{out} holds a finished shard that was made with other {', '.join(changed)}; name a new folder, or delete "
            "that one"
        )
    shutil.rmtree(out / WORK, ignore_errors=True)
