"""The second pass over the texts: each part of a source becomes a folder of plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from afterbert.base.errors import UserError
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.decoding import PieceDecoder
from afterbert.text.pieces.encoding import EncodedTexts, PieceEncoder
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes import Plane
from afterbert.text.sources import SourcePart
from afterbert.text.token_store.part_files import PartWriter, made_once, part_folder
from afterbert.text.token_store.survey import HELD_OUT, TRAIN, content_hash

FATES = {"train": TRAIN, "held_out": HELD_OUT}
_BATCH_CHARACTERS = 1_000_000
_BATCH_DOCUMENTS = 10_000


class PartTask(NamedTuple):
    """A part, and what the survey said of its documents: hashes uint64 [D], fates uint8 [D]."""

    number: int
    part: SourcePart
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
        def encode(writer: PartWriter) -> Sequence[Any]:
            for documents, fates in in_batches(self._kept(task)):
                self._write(documents, np.array(fates), writer)
            return writer.documents, writer.pieces, writer.without_pieces

        return PartReport(*made_once(part_folder(self.folder, task.number), self.dtype, encode))

    @cached_property
    def _encoder(self) -> DocumentEncoder:
        return DocumentEncoder(self.tokenizer)

    def _kept(self, task: PartTask) -> Iterator[tuple[Document, int]]:
        """Documents that are kept, and their fates."""
        seen = 0
        for document in task.part.documents(self.policy, Tally()):
            if seen >= len(task.hashes) or content_hash(document.text) != task.hashes[seen]:
                raise UserError(
                    f"{document.id} is not what it was a moment ago; prepare again when nothing writes the texts"
                )
            if task.fates[seen] in FATES.values():
                yield document, task.fates[seen]
            seen += 1
        if seen != len(task.hashes):
            raise UserError(
                "the texts hold fewer documents than a moment ago; prepare again when nothing writes them"
            )

    def _write(self, documents: list[Document], fates: np.ndarray, writer: PartWriter) -> None:
        encoded = self._encoder(documents)
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


@dataclass(frozen=True)
class DocumentEncoder:
    """The pieces of documents: those they have, or those the tokenizer makes of their texts."""

    tokenizer: Tokenizer

    def __call__(self, documents: Sequence[Document]) -> EncodedTexts:
        languages = [document.language for document in documents]
        given = [document.piece_ids for document in documents if document.piece_ids is not None]
        if not given:
            return self._encoder([document.text for document in documents], languages)
        assert len(given) == len(documents), "a source holds texts or pieces, not both"
        return self._decoder([np.frombuffer(raw, "<i4") for raw in given], languages)

    @cached_property
    def _encoder(self) -> PieceEncoder:
        return PieceEncoder(self.tokenizer)

    @cached_property
    def _decoder(self) -> PieceDecoder:
        return PieceDecoder(self.tokenizer)


def in_batches(items: Iterable[tuple[Document, Any]]) -> Iterator[tuple[list[Document], list[Any]]]:
    """Documents and what goes with each, about a megabyte of text at a time."""
    batch: list[Document] = []
    beside: list[Any] = []
    size = 0
    for document, thing in items:
        batch.append(document)
        beside.append(thing)
        size += len(document.text)
        if size >= _BATCH_CHARACTERS or len(batch) >= _BATCH_DOCUMENTS:
            yield batch, beside
            batch, beside, size = [], [], 0
    if batch:
        yield batch, beside
