"""The second pass over the texts: each part of a source becomes a folder of plain arrays, which is whole or
absent.

A part that was finished before a kill is checked and used again.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash

from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.text.documents import Document, Tally
from afterbert.text.encoding import Encoder
from afterbert.text.planes import Plane
from afterbert.text.policy import Policy
from afterbert.text.sources import Part
from afterbert.text.survey import HELD_OUT, TRAIN, content_hash
from afterbert.text.tokenizer import Tokenizer

FATES = {"train": TRAIN, "held_out": HELD_OUT}
_BATCH_CHARACTERS = 1_000_000
_BATCH_DOCUMENTS = 10_000
_READ_VALUES = 1 << 22


class PartTask(NamedTuple):
    """A part, and what the survey said of its documents: hashes uint64 [D], fates uint8 [D]."""

    number: int
    part: Part
    hashes: np.ndarray
    fates: np.ndarray


class PartReport(NamedTuple):
    """documents, pieces: by split; without_pieces: kept documents of which the tokenizer left nothing."""

    documents: dict[str, int]
    pieces: dict[str, int]
    without_pieces: int
    warnings: list[str]


@dataclass(frozen=True)
class EncodePart:
    """Encodes one part into `folder / part-N`, unless it lies there already."""

    tokenizer: Tokenizer
    planes: Mapping[str, Plane]
    policy: Policy
    languages: tuple[str, ...]
    folder: Path
    dtype: str

    def __call__(self, task: PartTask) -> PartReport:
        done = part_folder(self.folder, task.number)
        if (report := _finished(done)) is not None:
            return report
        shutil.rmtree(done, ignore_errors=True)
        beside = self.folder / f".tmp-{os.getpid()}-{done.name}"
        shutil.rmtree(beside, ignore_errors=True)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with _PartWriter(beside, self.dtype) as writer:
                for documents, fates in self._batches(task):
                    self._write(documents, fates, writer)
        messages = sorted({str(one.message) for one in said})
        report = PartReport(writer.documents, writer.pieces, writer.without_pieces, messages)
        write_atomically(beside / "done.json", json.dumps({"report": report, "digests": writer.digests()}))
        beside.rename(done)
        return report

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.tokenizer)

    def _batches(self, task: PartTask) -> Iterator[tuple[list[Document], np.ndarray]]:
        """Documents that are kept, about a megabyte at a time, and their fates."""
        batch: list[Document] = []
        fates: list[int] = []
        size = seen = 0
        for document in task.part.documents(self.policy, Tally()):
            if seen >= len(task.hashes) or content_hash(document.text) != task.hashes[seen]:
                raise UserError(
                    f"{document.id} is not what it was a moment ago; prepare again when nothing writes the texts"
                )
            if task.fates[seen] in FATES.values():
                batch.append(document)
                fates.append(task.fates[seen])
                size += len(document.text)
            seen += 1
            if size >= _BATCH_CHARACTERS or len(batch) >= _BATCH_DOCUMENTS:
                yield batch, np.array(fates)
                batch, fates, size = [], [], 0
        if seen != len(task.hashes):
            raise UserError(
                "the texts hold fewer documents than a moment ago; prepare again when nothing writes them"
            )
        if batch:
            yield batch, np.array(fates)

    def _write(self, documents: list[Document], fates: np.ndarray, writer: _PartWriter) -> None:
        encoded = self._encoder([d.text for d in documents], [d.language for d in documents])
        values = {name: plane(encoded) for name, plane in self.planes.items()}
        lengths = np.diff(encoded.piece_starts)
        code_of = {name: code for code, name in enumerate(self.languages)}
        codes = np.array([code_of[d.language or ""] for d in documents])
        fate_of_piece = np.repeat(fates, lengths)
        writer.without_pieces += int((lengths == 0).sum())
        for split, fate in FATES.items():
            here, whole = fate_of_piece == fate, (fates == fate) & (lengths > 0)
            writer.append(split, "pieces", encoded.piece_ids[here])
            writer.append(split, "documents", lengths[whole])
            writer.append(split, "languages", codes[whole])
            for name, value in values.items():
                writer.append(split, name, value[here])
            writer.documents[split] += int(whole.sum())
            writer.pieces[split] += int(here.sum())


class _PartWriter:
    """The files of one part: `<split>.<column>`."""

    def __init__(self, folder: Path, dtype: str):
        folder.mkdir(parents=True)
        self._folder, self._dtype = folder, dtype
        self._files: dict[str, Any] = {}
        self._digests: dict[str, Any] = {}
        self.documents, self.pieces = dict.fromkeys(FATES, 0), dict.fromkeys(FATES, 0)
        self.without_pieces = 0

    def append(self, split: str, column: str, values: np.ndarray) -> None:
        name = f"{split}.{column}"
        if name not in self._files:
            self._files[name] = open(self._folder / name, "wb")  # noqa: SIM115  closed by __exit__
            self._digests[name] = xxhash.xxh3_64()
        raw = values.astype(column_dtype(column, self._dtype)).tobytes()
        self._files[name].write(raw)
        self._digests[name].update(raw)

    def digests(self) -> dict[str, str]:
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def __enter__(self) -> _PartWriter:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()


def part_folder(folder: Path, number: int) -> Path:
    """Where the part with this number lies when it is done."""
    return folder / f"part-{number:06d}"


def column_dtype(column: str, dtype: str) -> str:
    """How a column lies on disk; planes are a byte per piece until they are merged."""
    return {"pieces": dtype, "documents": "<i8"}.get(column, "u1")


def column(folder: Path, numbers: Sequence[int], split: str, name: str, dtype: str) -> Iterator[np.ndarray]:
    """The values of a column through these parts, in blocks of bounded size."""
    kind = np.dtype(column_dtype(name, dtype))
    for number in numbers:
        path = part_folder(folder, number) / f"{split}.{name}"
        if not path.exists():
            continue
        with open(path, "rb") as file:
            while len(block := np.fromfile(file, kind, _READ_VALUES)):
                yield block


def _finished(folder: Path) -> PartReport | None:
    """The report of a part that lies there whole; None otherwise."""
    try:
        done = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        for name, digest in done["digests"].items():
            found = xxhash.xxh3_64()
            with open(folder / name, "rb") as file:
                while chunk := file.read(1 << 20):
                    found.update(chunk)
            if found.hexdigest() != digest:
                return None
        return PartReport(*done["report"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
