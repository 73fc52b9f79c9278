"""Search a collection by meaning: texts become passages, passages vectors, and a question finds the nearest ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import xxhash

from afterbert.base.config import to_plain
from afterbert.base.destination import folder_written
from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of, read_sealed, write_sealed
from afterbert.probes.sentence_encoder import SentenceEncoder
from afterbert.probes.word_index import WordIndex
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.passages import Passage, Passages
from afterbert.text.sources import Source
from afterbert.workflows.observer import NOBODY, WorkObserver

By = Literal["meaning", "words", "both"]
_FILE = "index.json"
_AT_ONCE = 2048  # passages
_ROWS_AT_ONCE = 100_000  # vectors
_RANKS = 60  # of reciprocal rank fusion: Cormack et al. 2009


@dataclass(frozen=True)
class Hit:
    """A passage that was found. score: the cosine, or BM25, or the sum of reciprocal ranks of both."""

    passage: Passage
    score: float


def embedded(
    sources: Sequence[Source],
    encoder: SentenceEncoder,
    folder: Path,
    *,
    cut: Passages | None = None,
    policy: Policy | None = None,
    observer: WorkObserver = NOBODY,
) -> int:
    """Writes `vectors.npy`, float32 [N, D], and `passages.jsonl`, a line `[id, text]` for each, of all documents or of
    what they are cut into, in memory that does not grow with their number. policy: how strict to be with text; the
    usual where it is None. Returns N. Raises UserError."""
    policy, tally, count, raw = policy or Policy(), Tally(), 0, folder / ".vectors"
    parts = [part for source in sources for part in source.parts(1 << 24)]
    total = sum(part.num_bytes for part in parts)
    documents = (document for part in parts for document in part.documents(policy, tally))
    texts = cut(documents) if cut is not None else (Passage(one.id, one.text) for one in documents)
    try:
        with (
            observer.working("reading texts") as advance,
            open(raw, "wb") as vectors,
            open(folder / "passages.jsonl", "w", encoding="utf-8") as lines,
        ):
            while some := list(islice(texts, _AT_ONCE)):
                vectors.write(encoder([passage.text for passage in some]).tobytes())
                lines.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in some)
                count += len(some)
                advance(min(tally.bytes, total), total, f"{count:,} texts")
        policy.check(tally)
        laid = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (count, encoder.width))
        laid.reshape(-1)[:] = np.memmap(raw, np.float32, "r")
        laid.flush()
    finally:
        raw.unlink(missing_ok=True)
    return count


@dataclass(frozen=True)
class SearchIndex:
    """Passages with their vectors and words, in a folder: `index.json`, `vectors.npy`, `passages.jsonl`, `words.*`."""

    folder: Path
    encoder: SentenceEncoder

    @staticmethod
    def of(
        sources: Sequence[Source],
        encoder: SentenceEncoder,
        *,
        root: Path,
        cut: Passages | None = None,
        policy: Policy | None = None,
        observer: WorkObserver = NOBODY,
    ) -> SearchIndex:
        """Opens the index of these texts under this model below `root`, or makes it. Its folder is named by what it
        is made of, so other texts or another model never meet it. Raises UserError."""
        cut = cut or Passages()
        digests = [source.digest() for source in sources]
        made_of = {"sources": digests, "encoder": encoder.identity, "passages": to_plain(cut)}
        if policy not in (None, Policy()):
            made_of["policy"] = to_plain(policy)
        folder = root / digest_of(made_of)[:16]
        if not (folder / _FILE).is_file():
            with folder_written(folder, made_by="search") as aside:
                count = embedded(sources, encoder, aside, cut=cut, policy=policy, observer=observer)
                with open(aside / "passages.jsonl", encoding="utf-8") as lines:
                    WordIndex.of(json.loads(line)[1] for line in lines).write(aside)
                files = {path.name: _digest(path) for path in sorted(aside.iterdir()) if path.name != _FILE}
                write_sealed(aside / _FILE, {"made_of": made_of, "count": count, "files": files})
            observer.on_line(f"index: {folder} ({count:,} passages)")
        found = SearchIndex(folder, encoder)
        found.check()
        return found

    def check(self) -> None:
        """Compares every file with its digest. Raises UserError."""
        remedy = f"remove {self.folder}, and it is made again"
        record = read_sealed(self.folder / _FILE, remedy=remedy)
        for name, digest in record["files"].items():
            path = self.folder / name
            if not path.is_file() or _digest(path) != digest:
                raise UserError(f"{path} was changed or lost after it was written; {remedy}")

    def passage(self, number: int) -> Passage:
        """Returns the passage with this number, from 0."""
        begin = int(self._line_ends[number - 1]) + 1 if number else 0
        line = bytes(self._lines[begin : int(self._line_ends[number])])
        return Passage(*json.loads(line))

    @cached_property
    def _lines(self) -> np.ndarray:
        return np.memmap(self.folder / "passages.jsonl", np.uint8, "r")

    @cached_property
    def _line_ends(self) -> np.ndarray:
        return np.flatnonzero(self._lines == ord("\n"))

    @cached_property
    def vectors(self) -> np.ndarray:
        """float32 [N, D], mapped into memory."""
        return np.load(self.folder / "vectors.npy", mmap_mode="r")

    @cached_property
    def words(self) -> WordIndex:
        return WordIndex.read(self.folder)

    def search(self, query: str, *, top: int = 5, by: By = "meaning") -> list[Hit]:
        """Returns the passages nearest to the query, nearest first; the search is exact. by: the cosine of vectors, the
        words in common, or the ranks under both. Raises UserError for an empty query."""
        if not query.strip():
            raise UserError("the question is empty; write what you look for")
        scores = self.scores(query, by)
        best = np.argpartition(-scores, min(top, len(scores)) - 1)[:top]
        best = best[np.lexsort((best, -scores[best]))]
        return [Hit(self.passage(int(at)), float(scores[at])) for at in best if by != "words" or scores[at] > 0]

    def scores(self, query: str, by: By = "meaning") -> np.ndarray:
        """Returns the score of every passage, float32 [N]."""
        if by == "words":
            return self.words.scores(query)
        if by == "both":
            each = [self.scores(query, "meaning"), self.scores(query, "words")]
            ranks = [np.argsort(np.argsort(-scores, kind="stable")) for scores in each]
            return sum((1 / (_RANKS + 1 + rank) for rank in ranks), np.zeros(len(each[0]))).astype(np.float32)
        (vector,) = self.encoder([query])
        found = np.empty(len(self.vectors), dtype=np.float32)
        for begin in range(0, len(found), _ROWS_AT_ONCE):
            found[begin : begin + _ROWS_AT_ONCE] = self.vectors[begin : begin + _ROWS_AT_ONCE] @ vector
        return found


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
