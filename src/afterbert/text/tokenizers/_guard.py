"""A tokenizer.json from elsewhere: looked at as plain data first, then tried out in a process of its own, under limits.

The library that runs it is Rust with regular expressions of the file's choice: a bad file can panic (an exception that
is no `Exception`), eat the memory, or backtrack for ever.
"""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_json, read_text

# The largest vocabularies in use (a quarter of a million pieces with merges) make files of some 35 MB.
_MOST_BYTES = 128 << 20
_MOST_DEPTH = 32
_LONGEST_PATTERN = 20_000
_TRIAL = Path(__file__).with_name("_trial.py")
_SECONDS = 30
_MEMORY_BYTES = 6 << 30
_WORKED: set[str] = set()  # digests of what was tried out in this process


def read_untrusted(path: Path) -> str:
    """Returns the text of a tokenizer.json that can be handed to the library. Raises UserError with what is wrong."""
    content = read_json(path, most=_MOST_BYTES, remedy="name a folder with a tokenizer.json")
    text = read_text(path, most=_MOST_BYTES)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise UserError(f"{path} holds no tokenizer (no `model`); name a folder with a tokenizer.json")
    added = content.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(one, dict) for one in added):
        raise UserError(f"{path} has no list of objects under added_tokens; download it again")
    for pattern in _patterns(content, path):
        if len(pattern) > _LONGEST_PATTERN:
            raise UserError(
                f"{path} holds a pattern of {len(pattern):,} characters, more than {_LONGEST_PATTERN:,} are not run"
            )
    _try_out(path)
    return text


def _patterns(content: dict[str, Any], path: Path) -> Iterator[str]:
    """All strings that are run as patterns. Walks level by level, so depth costs no stack."""
    level: list[Any] = [content]
    for _ in range(_MOST_DEPTH):
        below: list[Any] = []
        for thing in level:
            if isinstance(thing, dict):
                pattern = thing.get("pattern")
                found = list(pattern.values()) if isinstance(pattern, dict) else [pattern]
                yield from (text for text in found if isinstance(text, str))
            inner = thing.values() if isinstance(thing, dict) else thing
            below += [child for child in inner if isinstance(child, (dict, list))]
        if not below:
            return
        level = below
    raise UserError(f"{path} is nested deeper than {_MOST_DEPTH} levels; it is no tokenizer anyone made")


def _try_out(path: Path) -> None:
    """Loads the tokenizer and encodes a few hard texts in another process, once for each content. Raises UserError if
    that goes wrong."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest in _WORKED:
        return
    # as a file, not as a module: nothing of this package need be imported for it
    command = [sys.executable, "-P", str(_TRIAL), str(path), str(_MEMORY_BYTES), str(_SECONDS)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=2 * _SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{path} was tried out for {2 * _SECONDS} seconds and did not end; it is not used") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        raise UserError(f"{path} does not work with the tokenizers library ({said[-1][:200]}); download it again")
    _WORKED.add(digest)
