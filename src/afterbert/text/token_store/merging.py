"""From the folders of finished parts to the files of a store."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.rows import starts_of
from afterbert.text.token_store.array_files import ArrayFile, PackedFile
from afterbert.text.token_store.encoded import EncodedParts


@dataclass
class Merged:
    """files: path in the store -> its record. splits: name -> counts."""

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Merge:
    """Writes the columns of encoded parts into the store at `out`. widths: bits of each plane."""

    parts: EncodedParts
    out: Path
    widths: Mapping[str, int]

    def split(self, name: str, merged: Merged) -> None:
        """Writes all files of one split and adds their records."""
        record = merged.splits.setdefault(name, {})
        record["sentences"] = 0
        file = ArrayFile(self.out / name / "pieces.bin", dtype=self.parts.dtype)
        for block in self.parts.column(name, "pieces"):
            file.append(block)
        merged.files[f"{name}/pieces.bin"] = file.close()
        self._documents(name, record, merged)
        self.planes(name, merged)

    def pieces_digest(self, split: str) -> str:
        """Returns the sha256 that the file of ids has or would have."""
        digest = hashlib.sha256()
        for block in self.parts.column(split, "pieces"):
            digest.update(block.tobytes())
        return digest.hexdigest()

    def planes(self, split: str, merged: Merged) -> None:
        """Writes the planes of one split, and the index of sentences where that plane is among them."""
        for name, width in self.widths.items():
            file = PackedFile(self.out / split / "planes" / f"{name}.bin", width=width)
            for block in self.parts.column(split, name):
                file.append(block)
            merged.files[f"{split}/planes/{name}.bin"] = file.close()
        if "sentence_start" in self.widths:
            record = merged.splits[split]
            record["sentences"] = self._sentences(split, record["pieces"], merged)

    def _documents(self, split: str, record: dict[str, Any], merged: Merged) -> None:
        starts = ArrayFile(self.out / split / "documents.bin", dtype="<i8")
        codes = ArrayFile(self.out / split / "languages.bin", dtype="u1")
        starts.append(np.zeros(1, dtype=np.int64))
        halves = np.concatenate([np.zeros(0, np.uint8), *self.parts.column(split, "halves")])
        if halves.any():  # a store without pairs has no such file
            file = ArrayFile(self.out / split / "halves.bin", dtype="u1")
            file.append(halves)
            merged.files[f"{split}/halves.bin"] = file.close()
        if halves.any() or "parts" in merged.splits["train"]:  # by which leaks are found in the sources
            record["parts"] = self.parts.documents_by_part(split)
        names = self.parts.found.languages
        documents, pieces = np.zeros((2, len(names)), dtype=np.int64)
        total = 0
        for lengths, languages in zip(self.parts.column(split, "documents"), self.parts.column(split, "languages")):
            ends = starts_of(lengths)[1:] + total
            total = int(ends[-1])
            starts.append(ends)
            codes.append(languages)
            documents += np.bincount(languages, minlength=len(names))
            pieces += np.bincount(languages, lengths, minlength=len(names)).astype(np.int64)
        merged.files[f"{split}/documents.bin"] = starts.close()
        merged.files[f"{split}/languages.bin"] = codes.close()
        record["documents"], record["pieces"] = int(documents.sum()), total
        record["languages"] = {
            name: {"documents": int(d), "pieces": int(p)} for name, d, p in zip(names, documents, pieces) if d
        }

    def _sentences(self, split: str, pieces: int, merged: Merged) -> int:
        starts = ArrayFile(self.out / split / "sentences.bin", dtype="<i8")
        count = offset = 0
        for block in self.parts.column(split, "sentence_start"):
            found = np.flatnonzero(block)
            starts.append(found + offset)
            count, offset = count + len(found), offset + len(block)
        starts.append(np.array([pieces]))
        merged.files[f"{split}/sentences.bin"] = starts.close()
        return count
