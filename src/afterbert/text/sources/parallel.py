"""Pairs of a text and its translation; each side becomes a document of the store, one directly behind the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import PAIR, Document, Tally
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import Policy
from afterbert.text.parallel import RawPair, reader_of
from afterbert.text.sources import Source, SourcePart

_MOST_BYTES = 8_192
_MOST_RATIO, _SAME = 9, 20


@dataclass(frozen=True)
class ParallelText(Source):
    """Its documents hold both sides with PAIR between. A pair is dropped, and counted with its line, when a side is
    empty, both are the same (20 characters and more), one is nine times as long as the other (the limit of Moses'
    clean-corpus-n), or one is longer than 8,192 bytes."""

    path: str
    """The file, whose name tells its layout (`text/parallel/`)."""
    other: str | None = None
    """The file that holds the translations, if there are two."""
    name: str | None = None
    languages: str = "en+de"
    """The languages of both sides, `en+is`."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The file, or both."""
        return (self.path,) if self.other is None else (self.path, self.other)

    def _files(self) -> list[str]:
        found = [sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)] for path in self.paths]
        return [str(file) for files in found for file in files if not file.is_dir()]

    def digest(self) -> dict[str, str]:
        return {path: f"{streams.digest_of(path)} languages={self.languages}" for path in self._files()}

    def parts(self, target_bytes: int) -> list[SourcePart]:
        size = sum(streams.size_of(path) for path in self._files())
        reader_of(self.paths)
        return [SourcePart(self, 0, None, size)]

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        intake = Intake(policy, tally, path=self.path, name=streams.shown(self.name or self.path), unit="line")
        for path in self._files():
            kind = streams.extension_of(path) or "no extension"
            tally.files[kind] = tally.files.get(kind, 0) + 1
            tally.bytes += streams.size_of(path)
        one, other = self.languages.split("+")
        found = iter(reader_of(self.paths)(self.paths, (one, other)))
        if (first := next(found, None)) is None:
            names = ",".join(map(streams.shown, self.paths))
            raise UserError(f"{names} holds no pair of {one} and {other}; leave it out, or mend it")
        for pair in chain([first], found):
            sides = RawPair(pair.line, " ".join(pair.one.split()), " ".join(pair.other.split()))
            intake.path = pair.path or self.path
            if why := _wrong(sides, min(_MOST_BYTES, policy.max_document_bytes // 2)):
                intake.lose(why, pair.line)
                continue
            for made in intake.documents(f"{sides.one}\n{sides.other}", pair.line, language=self.languages):
                yield made._replace(text=made.text.replace("\n", PAIR))


def _wrong(pair: RawPair, most_bytes: int) -> str | None:
    """Why a pair is none.

    >>> _wrong(RawPair(1, "Good morning.", "Góðan dag."), 99), _wrong(RawPair(2, "", "Góðan dag."), 99)
    (None, 'pairs of which one side is empty')
    """
    shorter, longer = sorted(len(side.encode()) for side in (pair.one, pair.other))
    if not shorter:
        return "pairs of which one side is empty"
    if pair.one == pair.other and len(pair.one) >= _SAME:
        return "pairs whose sides are the same"
    if longer > _MOST_RATIO * shorter and longer > 100:
        return f"pairs of which one side is {_MOST_RATIO} times as long"
    return f"pairs longer than {most_bytes:,} bytes" if longer > most_bytes else None
