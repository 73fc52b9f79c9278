"""Invented corpora on disk, stores made from them, and what a store's files are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from afterbert.text.sources.jsonl import Jsonl
from afterbert.text.tokenizers.wordpiece import WordPiece
from invented_texts import ALL, LANGUAGES, documents

SMALL = WordPiece(vocab_size=300, min_frequency=1, lowercase=True)


def corpus(folder: Path, count: int = 60, *, extra: Sequence[str] = (), name: str = "texts.jsonl") -> Jsonl:
    """A JSONL file of invented documents in several languages, and the source that reads it."""
    records = [{"text": text, "language": code} for text, code in zip(ALL, LANGUAGES)]
    records += [{"text": text, "language": "en"} for text in (*documents(count), *extra)]
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return Jsonl(path=str(path), language_key="language")


def texts_of(source: Jsonl) -> list[tuple[str, str]]:
    """(text, language) of every line."""
    lines = Path(source.path).read_text(encoding="utf-8").splitlines()
    return [(record["text"], record["language"]) for record in map(json.loads, lines)]


def digests(folder: Path) -> dict[str, str]:
    """Every file of a store with its digest, the lock left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
