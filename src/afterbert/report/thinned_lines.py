"""ThinnedLines of a long log, thinned: bounded in time and memory, and what must not be missed is not missed."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from afterbert.base.small_files import check_regular

_SHORT_BYTES = 1 << 22
_CHUNK_BYTES = 1 << 24
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class ThinnedLines:
    """ThinnedLines in the order of the file; about one in `every` of it, besides the marked ones."""

    lines: list[bytes]
    every: int = 1


def thinned_lines(path: Path, marks: tuple[bytes, ...], *, most: int = 10_000) -> ThinnedLines:
    """All lines of a short file. Of a long one about `most`, evenly spread, and with them those that hold
    one of `marks` (about `most` of these too, should nearly all hold one) and the last two. Raises OSError."""
    check_regular(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _SHORT_BYTES:
            return ThinnedLines(file.read(_SHORT_BYTES).split(b"\n"))
        starts = np.concatenate([_spread(file, size, most), _marked(file, size, marks, most), _last(file, size)])
        lines = [_line(file, start) for start in np.unique(starts).tolist()]
    mean_length = sum(map(len, lines)) / len(lines)
    return ThinnedLines(lines, every=max(1, round(size / mean_length / most)))


def _spread(file: BinaryIO, size: int, most: int) -> np.ndarray:
    """Where lines start, evenly spread over the file."""
    starts = [0]
    for offset in np.linspace(0, size, most, endpoint=False).astype(np.int64).tolist():
        file.seek(offset)
        file.readline(_LONGEST_LINE)
        starts.append(file.tell())
    return np.array(starts)


def _marked(file: BinaryIO, size: int, marks: tuple[bytes, ...], most: int) -> np.ndarray:
    """Where lines start that hold a mark."""
    # No two found lines start closer than this, so that a file of nothing but marks takes bounded time.
    stride = size // (10 * most)
    starts, offset = [], 0
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        # To the end of the line: a mark cut in two by the border of chunks would be missed.
        chunk += file.readline(_LONGEST_LINE)
        starts += [offset + start for mark in marks for start in _occurrences(chunk, mark, stride)]
        offset += len(chunk)
    found = np.unique(np.array(starts, dtype=np.int64))
    return found[:: max(1, -(-len(found) // most))]


def _occurrences(chunk: bytes, mark: bytes, stride: int) -> list[int]:
    starts = []
    at = chunk.find(mark)
    while at >= 0:
        start = chunk.rfind(b"\n", 0, at) + 1
        starts.append(start)
        at = chunk.find(mark, max(at + len(mark), start + stride))
    return starts


def _last(file: BinaryIO, size: int) -> np.ndarray:
    """Where the last two lines start: how far the run is, also when the very last is torn."""
    begin = max(0, size - _LONGEST_LINE)
    file.seek(begin)
    tail = file.read(_LONGEST_LINE).rstrip(b"\n")
    last = tail.rfind(b"\n") + 1
    return np.array([begin + tail.rfind(b"\n", 0, max(0, last - 1)) + 1, begin + last])


def _line(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.readline(_LONGEST_LINE)
