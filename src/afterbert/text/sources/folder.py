"""A folder with everything below it, in an order that is the same on every system."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.sources import Source, SourcePart
from afterbert.text.sources._making import Option, kinds_by_extension, make

# A text file up to this size, found in a folder, is one document; a longer one is a corpus with blank lines between.
ONE_DOCUMENT_BYTES = 1_000_000
# Read along with the token file beside which they lie.
_BESIDE = (".ds.index", ".ds.metadata")


@dataclass(frozen=True)
class Folder(Source):
    """All files below a folder whose extension is known, sorted by path; the others are counted, by extension, and
    passed over.

    Hidden files are passed over, links (to files or folders) are not followed, archives are not opened. kind: read only
    the files of this kind, and as such those of unknown or no extension that begin like text (WikiExtractor's folders,
    code, logs). options: for the sources of the files, each takes those it has. Without the option `documents`, a text
    file of up to 1 MB is one document, and blank lines separate the documents of a longer one.
    """

    path: str
    name: str | None = None
    kind: str | None = None
    options: dict[str, Option] = field(default_factory=dict)

    def parts(self, target_bytes: int) -> list[SourcePart]:
        sources, passed_over = self.files()
        first, *others = (part for source in sources for part in source.parts(target_bytes))
        return [replace(first, passed_over=passed_over), *others]

    def digest(self) -> dict[str, str]:
        return {name: digest for source in self.files()[0] for name, digest in source.digest().items()}

    def files(self) -> tuple[list[Source], dict[str, int]]:
        """Returns a source for each file that can be read, and the number of others by extension or reason. Raises
        UserError if there is nothing to read."""
        title = self.name or os.path.basename(os.path.abspath(self.path))
        passed_over = Counter[str]()
        sources = []
        for relative in sorted(_files_below(self.path, passed_over), key=_by_bytes):
            if relative.endswith(_BESIDE):
                continue
            extension = streams.extension_of(relative)
            path = os.path.join(self.path, *relative.split("/"))
            kind = kinds_by_extension().get(extension) or self._told(path)
            if kind is None or self.kind not in (None, kind):
                passed_over[extension or "no extension"] += 1
                continue
            sources.append(make(kind, path, self._options_for(kind, path), name=f"{title}/{relative}"))
        if not sources:
            counted = ", ".join(f"{streams.shown(why)} {count}" for why, count in sorted(passed_over.items()))
            known = ", ".join(e for e, kind in sorted(kinds_by_extension().items()) if self.kind in (None, kind))
            raise UserError(
                f"{streams.shown(self.path)} holds no file to read (found: {counted or 'nothing'}); known are {known}"
                + ("" if self.kind or not passed_over else "; --kind txt or --kind jsonl says what other names hold")
            )
        return sources, passed_over

    def _told(self, path: str) -> str | None:
        """The kind of a file whose name tells none: the one that was asked for, where the file begins like text."""
        if self.kind is None or streams.extension_of(path) in streams.ARCHIVES:
            return None
        try:
            next(streams.chunks(path), None)
        except UserError:
            return None
        return self.kind

    def _options_for(self, kind: str, path: str) -> Mapping[str, Option]:
        if kind != "txt" or self.options.get("documents"):
            return self.options
        return {**self.options, "documents": "file" if _fits_one_document(path) else "paragraphs"}


def _by_bytes(relative: str) -> list[bytes]:
    """Folder by folder, by the bytes of the names: code points, unlike characters, depend on the locale."""
    return [os.fsencode(name) for name in relative.split("/")]


def _files_below(root: str, passed_over: Counter[str]) -> Iterator[str]:
    """Paths of regular files relative to the root, with `/`, in no order."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(os.path.join(root, *folder.split("/"))))
        except OSError as error:
            path = streams.shown(os.path.join(root, folder))
            raise UserError(f"the folder {path} cannot be read: {error.strerror}; check its rights") from None
        for entry in entries:
            relative = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                passed_over["hidden"] += 1
            elif entry.is_symlink():
                passed_over["link"] += 1
            elif entry.is_dir(follow_symlinks=False):
                folders.append(relative)
            elif entry.is_file(follow_symlinks=False):
                yield relative
            else:
                passed_over["not a regular file"] += 1


def _fits_one_document(path: str) -> bool:
    if not streams.packing_of(path):
        return streams.size_of(path) <= ONE_DOCUMENT_BYTES
    size = 0
    for _, chunk in streams.chunks(path):
        size += len(chunk)
        if size > ONE_DOCUMENT_BYTES:
            return False
    return True
