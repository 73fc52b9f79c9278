"""Small JSON files that carry the digest of their own content, for whatever a later command trusts.

The digest protects against accident (a flipped bit, half a copy), not against somebody who can write it anew.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.base.small_files import read_json_object

_KEY = "digest"


def digest_of(content: Any) -> str:
    """Returns the sha256, in hex, of anything that JSON can hold; the order of keys does not matter."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content with a digest of all of it, in place of an older digest.

    >>> sealed(sealed({"steps": 400})) == sealed({"steps": 400}), sealed({"steps": 400}) == sealed({"steps": 500})
    (True, False)
    """
    plain = {key: value for key, value in content.items() if key != _KEY}
    return plain | {_KEY: digest_of(plain)}


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the content with its digest, whole and synced. Raises OSError."""
    text = json.dumps(sealed(content), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    write_atomically(path, text, sync=True)


def check_sealed(path: Path, content: Mapping[str, Any], *, remedy: str) -> None:
    """Raises UserError if the content of this file is not the one that its digest was made of. A file of version 0.1
    may have none."""
    if _KEY in content and sealed(content) != content:
        raise UserError(f"{path} was changed after it was written (its digest is of another content); {remedy}")


def read_sealed(path: Path, *, remedy: str, allows_nan: bool = False) -> dict[str, Any]:
    """Reads what `write_sealed` wrote, without its digest. allows_nan: as for `read_json`. Raises UserError, which
    closes with the remedy, for a file that is missing, damaged or changed."""
    content = read_json_object(path, remedy=remedy, allows_nan=allows_nan)
    check_sealed(path, content, remedy=remedy)
    return {key: value for key, value in content.items() if key != _KEY}
