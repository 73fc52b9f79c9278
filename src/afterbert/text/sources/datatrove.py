"""Token files of datatrove: pieces that are there already, read as they are.

`NAME.ds` holds the pieces of all documents, two or four bytes each, little-endian; `NAME.ds.index` the end of each
document in pieces (uint64); `NAME.ds.metadata`, where it is there, names the tokenizer in its first line (behind a
`|` the bytes of a piece). Source: datatrove, `pipeline/tokens/tokenizer.py`, class TokenizedFile.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import EMPTY, Document, Tally
from afterbert.text.files.intake import NOT_UTF8, REPLACED, Intake
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.decoding import PieceDecoder
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.sources import SourcePart
from afterbert.text.sources._file import StoredFile
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer

INNER_SPECIAL = "special pieces within documents, left out"
_PIECES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Datatrove(StoredFile):
    """One `.ds` file with its index beside it; special pieces (the end of each document) are left out.

    tokenizer: folder or hub name of the one that made the pieces; the one that the metadata names when not given.
    Nothing of the policy applies but what is to happen to bytes that are no UTF-8, and where long documents are
    cut. Places are documents from 0, and so are the limits of parts.
    """

    tokenizer: str | None = None

    extensions: ClassVar[tuple[str, ...]] = (".ds",)

    @property
    def piece_recipe(self) -> PretrainedTokenizer:
        named = self.tokenizer or self._metadata()[0]
        if not named:
            raise UserError(
                f"{streams.shown(self.path)} does not say which tokenizer made its pieces; name it by --tokenizer"
            )
        return PretrainedTokenizer(named)

    def digest(self) -> dict[str, str]:
        files = [streams.digest_of(path) for path in (self.path, self.path + ".index")]
        made = _tools(self.piece_recipe)[0].digest[:16]
        return {self.title: " ".join([*files, f"tokenizer={made}", *self.settings])}

    def parts(self, target_bytes: int) -> list[SourcePart]:
        ends, width = self._ends(), self._width()
        if not len(ends):
            return [SourcePart(self, 0, 0)]
        marks = np.arange(target_bytes, int(ends[-1]) * width, max(target_bytes, width)) // width
        stops = np.unique([*(np.searchsorted(ends, marks) + 1), len(ends)]).tolist()
        starts = [0, *stops[:-1]]
        begins = np.array([0, *(int(ends[stop - 1]) for stop in stops)]) * width
        return [SourcePart(self, a, b, int(size)) for a, b, size in zip(starts, stops, np.diff(begins))]

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        intake = Intake(policy, tally, path=self.path, name=self.title, language=self.language, unit="document")
        if part.start == 0:
            tally.files[".ds"] += 1
        decoder, ends = _tools(self.piece_recipe)[1], self._ends()
        for number, piece_ids in self._documents(part, ends, self._width()):
            tally.bytes += piece_ids.nbytes
            tally.documents += 1
            kept = self._kept(piece_ids, number, decoder, intake)
            if not len(kept):
                tally.drop(EMPTY, intake.place(number))
                continue
            cuts = _cuts(kept, decoder, policy.max_document_bytes)
            tally.pieces += len(cuts)
            whole = f"{self.title}@{number}"
            for place, some in enumerate(np.split(kept, cuts)):
                document = Document(f"{whole}.{place + 1}" if place else whole, "", intake.dealt(whole))
                yield from self._filled(document, some, number, decoder, intake)

    def _filled(
        self, document: Document, piece_ids: np.ndarray, number: int, decoder: PieceDecoder, intake: Intake
    ) -> Iterator[Document]:
        text, broken = decoder.text(piece_ids)
        place, tally = intake.place(number), intake.tally
        if broken:
            if intake.policy.errors == "fail":
                raise UserError(
                    f"{place}: its pieces are no UTF-8 when put together; say --errors replace or skip-document"
                )
            if intake.policy.errors == "skip-document":
                tally.drop(NOT_UTF8, place)
                return
            tally.repair(REPLACED, place, broken)
        if not text or text.isspace():
            tally.drop(EMPTY, place)
            return
        tally.kept += 1
        yield document._replace(text=text, piece_ids=piece_ids.astype("<i4").tobytes(), place=place)

    def _kept(self, piece_ids: np.ndarray, number: int, decoder: PieceDecoder, intake: Intake) -> np.ndarray:
        """The pieces of a document that are none of the special ones. Raises UserError."""
        if len(piece_ids) and int(piece_ids.max()) >= decoder.size:
            raise UserError(
                f"{intake.place(number)}: piece {piece_ids.max()} is not in the tokenizer, which has {decoder.size:,}; "
                "name the one that made the pieces by --tokenizer"
            )
        plain = np.flatnonzero(~decoder.is_special[piece_ids])
        inner = int(np.ptp(plain)) + 1 - len(plain) if len(plain) else 0
        if inner:
            intake.tally.repair(INNER_SPECIAL, intake.place(number), inner)
        return piece_ids[plain]

    def _documents(self, part: SourcePart, ends: np.ndarray, width: int) -> Iterator[tuple[int, np.ndarray]]:
        """(number, piece ids) of the documents of a part, some megabytes read at a time."""
        number, stop = part.start, part.stop if part.stop is not None else len(ends)
        with streams.open_file(self.path) as file:
            while number < stop:
                begin = int(ends[number - 1]) if number else 0
                last = max(number + 1, int(np.searchsorted(ends, begin + _PIECES_AT_ONCE)))
                here = ends[number : min(last, stop)].astype(np.int64) - begin
                file.seek(begin * width)
                block = np.frombuffer(file.read(int(here[-1]) * width), f"<u{width}").astype(np.int32)
                for piece_ids in np.split(block, here[:-1]):
                    yield number, piece_ids
                    number += 1

    def _ends(self) -> np.ndarray:
        """uint64 [D]: where each document ends, memory-mapped. Raises UserError."""
        path = self.path + ".index"
        if not os.path.exists(path):
            raise UserError(
                f"{streams.shown(path)} does not exist, so where documents end is unknown; put it beside the file"
            )
        size = streams.size_of(path)
        if size % 8:
            raise UserError(f"{streams.shown(path)} has {size:,} bytes, no multiple of 8; copy it again")
        return np.asarray(np.memmap(path, "<u8", "r")) if size else np.zeros(0, "<u8")

    def _width(self) -> int:
        """Bytes of a piece, by the sizes of both files. Raises UserError if they do not fit."""
        ends, size = self._ends(), streams.size_of(self.path)
        pieces = int(ends[-1]) if len(ends) else 0
        if pieces and (ends[1:] >= ends[:-1]).all():
            for width in (2, 4):
                if size == pieces * width:
                    return width
        if not pieces and not size:
            return 2
        raise UserError(
            f"{streams.shown(self.path)} has {size:,} bytes, but its index ends at {pieces:,} pieces of 2 or 4 bytes; "
            "the two do not belong together, or one was cut off"
        )

    def _metadata(self) -> tuple[str, ...]:
        """The lines beside the file, the first one without the bytes of a piece; none where it is not there."""
        path = Path(self.path + ".metadata")
        if not path.is_file():
            return ("",)
        first, *others = path.read_text(encoding="utf-8", errors="replace")[:10_000].splitlines() or [""]
        named = first.split("|")[0].strip()
        return ("" if named == "Unknown Tokenizer" else named, *others)


def _cuts(piece_ids: np.ndarray, decoder: PieceDecoder, most_bytes: int) -> np.ndarray:
    """Where a document of more than this many bytes is cut: before the first character of each further stretch."""
    ends = np.cumsum(decoder.sizes(piece_ids))
    if ends[-1] <= most_bytes:
        return np.zeros(0, np.int64)
    stretch = (ends - 1) // most_bytes
    begins = np.flatnonzero(decoder.begins_character(piece_ids))
    wanted = np.flatnonzero(np.diff(stretch)) + 1
    places = np.minimum(np.searchsorted(begins, wanted), len(begins) - 1)
    return np.unique(begins[places][begins[places] > 0])


def _tools(recipe: PretrainedTokenizer) -> tuple[Tokenizer, PieceDecoder]:
    """The tokenizer and its decoder, read once for each file on disk: the same name may mean another one later."""
    file = Path(recipe.name, "tokenizer.json")
    return _read(recipe, (file.resolve(), file.stat().st_mtime_ns) if file.is_file() else None)


@cache
def _read(recipe: PretrainedTokenizer, version: tuple[Path, int] | None) -> tuple[Tokenizer, PieceDecoder]:
    tokenizer = recipe.make()
    return tokenizer, PieceDecoder(tokenizer)
