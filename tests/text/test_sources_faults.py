"""Reading under hard conditions, in child processes: little memory, odd locales, killed pipes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

MEGABYTE = 1 << 20
CHILD = """
import json, resource, sys
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.reading import read
from afterbert.text.from_paths import sources_for

path, margin, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
sources = sources_for([path], **options)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + margin
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
tally, longest = Tally(), 0
for document in read(sources, Policy(max_dropped_share=1), tally):
    longest = max(longest, max(map(len, document.text.split())))
print(json.dumps({"documents": tally.documents, "pieces": tally.pieces, "longest": longest, **tally.repaired}))
"""


def read_in_child(
    path: Path, margin: int, options: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], float]:
    start = time.monotonic()
    arguments = [sys.executable, "-c", CHILD, str(path), str(margin), json.dumps(options or {})]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
    return result, time.monotonic() - start


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc to know the memory in use")
@pytest.mark.parametrize(
    ("name", "unit", "size", "options", "expected"),
    [
        ("words.txt", "forty megabytes of words on a line, ", 40, {}, {"documents": 1, "pieces": 41}),
        ("words.txt", "forty megabytes of words on a line. ", 40, {"documents": "line"}, {"pieces": 41}),
        ("run.txt", "x", 40, {"documents": "file"}, {"longest": 1000}),
        ("chinese.txt", "没有空格的文字，", 40, {}, {"longest": 1000}),
        ("words.jsonl", "words on a line. ", 40, {}, {"documents": 1, "pieces": 41}),
        ("spaces.txt", " ", 40, {}, {"documents": 1, "pieces": 0}),
        ("newlines.txt", "\n", 40, {}, {"documents": 1, "pieces": 0}),
        ("newlines.jsonl", "\n", 40, {}, {"documents": 1, "pieces": 0}),
        ("newlines.tsv", "\n", 40, {"text_column": 1}, {"documents": 1, "pieces": 0}),
        ("newlines.csv", "\n", 2, {"text_column": 1}, {"documents": 1, "pieces": 0}),
        ("returns.txt", "\r", 20, {}, {"documents": 1, "lone carriage returns made line ends": 20 * MEGABYTE}),
    ],
)
def test_huge_lines_need_little_memory_and_time(
    name: str, unit: str, size: int, options: dict[str, str], expected: dict[str, int], tmp_path: Path
) -> None:
    content = unit.encode() * (size * MEGABYTE // len(unit.encode()))
    path = tmp_path / name
    if name.endswith(".jsonl"):
        line = b'{"text": "' + (content if unit.strip() else b"end") + b'"}'
        path.write_bytes(line if unit.strip() else content + line)
    else:
        path.write_bytes(content + b"end")
    # A JSON line has to be held as a whole: as bytes, as characters, and parsed.
    result, seconds = read_in_child(path, 300 * MEGABYTE if name == "words.jsonl" else 64 * MEGABYTE, options)
    path.unlink()
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert {key: found[key] for key in expected} == expected
    assert seconds < 30


def test_the_memory_limit_of_these_tests_bites(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    path.write_bytes(b'{"text": "' + b"words on a line. " * (40 * MEGABYTE // 17) + b'"}\n')
    result, _ = read_in_child(path, 64 * MEGABYTE)
    assert result.returncode == 1 and "MemoryError" in result.stderr


PRINT = """
import os, sys
from afterbert.base.errors import UserError
from afterbert.text.files.documents import Tally
from afterbert.text.files.streams import shown
from afterbert.text.reading import read
from afterbert.text.from_paths import sources_for

tally = Tally()
found = [[*document[:-1], shown(document.place.path)] for document in read(sources_for(sys.argv[1:]), None, tally)]
sys.stdout.buffer.write((repr(found) + tally.table()).encode())
try:
    sources_for([sys.argv[1] + "/nichts-\\u00fc.txt"])
except UserError as error:
    print(error, file=sys.stderr)
"""


def test_locale_and_time_zone_change_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "Grüße \U0001f600"
    folder.mkdir()
    (folder / "sp ace \U0001f600.txt").write_bytes("Grüße\r\n\r\n中文\u2028 x".encode())
    (folder / "b.jsonl").write_bytes('{"text": "naïve"}\r\n'.encode())
    with contextlib.suppress(OSError):  # some file systems take only UTF-8 names
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("x")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
    outputs = []
    for extra in (
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "TZ": "Pacific/Apia", "PYTHONHASHSEED": "1"},
        {"LC_ALL": "POSIX", "PYTHONHASHSEED": "2"},
    ):
        result = subprocess.run(
            [sys.executable, "-c", PRINT, os.fsencode(folder)], capture_output=True, env={**plain, **extra}, timeout=60
        )
        assert result.returncode == 0, result.stderr
        assert result.stderr.count(b"\n") == 1 and b"cannot be read" in result.stderr
        outputs.append(result.stdout)
    assert "Grüße".encode() in outputs[0] and "naïve".encode() in outputs[0]
    assert outputs[1] == outputs[0] and outputs[2] == outputs[0]


def test_standard_input_from_a_pipe_is_put_aside_and_removed(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PRINT.split("try:")[0], "-"],
        input="one\n\ntwo ü".encode(),
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=60,
    )
    assert b"'stdin@0', 'one'" in result.stdout and "'stdin@5', 'two ü'".encode() in result.stdout, result.stderr
    assert list(tmp_path.iterdir()) == []
