"""Every source keeps the promises of `text/sources/__init__.py`; a new file in that folder is tested by being there."""

from __future__ import annotations

import dataclasses
import gzip
import json
import pickle
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afterbert.base import plugins
from afterbert.base.config import build, to_plain
from afterbert.base.tree import Node
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.sources import Source
from afterbert.text.tokenizers.wordpiece import WordPiece

TEXTS = [f"Document {n} says: naïve {'word ' * n}\x07end." for n in range(40)] + ["\u00a0", "last"]
POLICY = Policy(max_dropped_share=0.5, max_document_bytes=150)


def _txt(_: pytest.MonkeyPatch) -> Any:
    Path("a.txt").write_text("\n\n".join(TEXTS), encoding="utf-8")
    return {"path": "a.txt"}


def _jsonl(_: pytest.MonkeyPatch) -> Any:
    lines = (json.dumps({"text": text, "id": f"d{n}"}) + "\n" for n, text in enumerate(TEXTS))
    Path("a.jsonl").write_text("".join(lines))
    return {"path": "a.jsonl"}


def _csv(_: pytest.MonkeyPatch) -> Any:
    Path("a.csv").write_text("text\n" + "".join(f'"{text}\n",\n' for text in TEXTS), encoding="utf-8")
    return {"path": "a.csv"}


def _tsv(_: pytest.MonkeyPatch) -> Any:
    Path("a.tsv").write_text("".join(f'"\t{text}\n' for text in TEXTS), encoding="utf-8")
    return {"path": "a.tsv", "text_column": 2}


def _parquet(_: pytest.MonkeyPatch) -> Any:
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pa.table({"text": TEXTS}), "a.parquet", row_group_size=7)
    return {"path": "a.parquet"}


def _folder(patch: pytest.MonkeyPatch) -> Any:
    for make in (_txt, _jsonl, _csv):
        make(patch)
    Path("b.txt.gz").write_bytes(gzip.compress(Path("a.txt").read_bytes()))
    Path("picture.png").write_bytes(b"")
    return {"path": "."}


def _stdin(patch: pytest.MonkeyPatch) -> Any:
    _txt(patch)
    patch.setattr("afterbert.text.sources.stdin._put_aside", lambda: "a.txt")
    return {}


def _hub(patch: pytest.MonkeyPatch) -> Any:
    datasets = pytest.importorskip("datasets")
    patch.setattr(datasets, "load_dataset", lambda path, **options: ({"text": text} for text in TEXTS))
    return {"path": "owner/name", "revision": "0" * 40}


def _python_docs(_: pytest.MonkeyPatch) -> Any:
    return {"packages": (), "min_characters": 2000}


def _datatrove(_: pytest.MonkeyPatch) -> Any:
    made = WordPiece(vocab_size=200, min_frequency=1, lowercase=True).make(TEXTS, corpus_bytes=20_000)
    made.save(Path("made"))
    ids = [[*made.encode(text), made.vocabulary.sep, made.vocabulary.sep] for text in TEXTS]
    ids[7][2:2] = [made.vocabulary.sep]
    np.concatenate(ids).astype("<u2").tofile("a.ds")
    np.cumsum([len(one) for one in ids]).astype("<u8").tofile("a.ds.index")
    Path("a.ds.metadata").write_text("made|2\n1000\n1K")
    return {"path": "a.ds"}


def _parallel(_: pytest.MonkeyPatch) -> dict[str, Any]:
    Path("pairs.tsv").write_text("".join(f"{text[:60]}\tí {n}\n" for n, text in enumerate(TEXTS)), encoding="utf-8")
    return {"path": "pairs.tsv", "languages": "en+is"}


EXAMPLES: dict[str, Callable[[pytest.MonkeyPatch], Any]] = {
    "txt": _txt,
    "jsonl": _jsonl,
    "csv": _csv,
    "tsv": _tsv,
    "parquet": _parquet,
    "folder": _folder,
    "stdin": _stdin,
    "parallel": _parallel,
    "hub": _hub,
    "python_docs": _python_docs,
    "datatrove": _datatrove,
}
SLOW = {"hub", "python_docs"}


def _node(plain: Any) -> Node:
    """A plain tree as it would be read from a recipe."""
    if isinstance(plain, dict):
        return Node({key: _node(value) for key, value in plain.items()}, "here")
    return Node([_node(value) for value in plain] if isinstance(plain, list) else plain, "here")


def _found(source: Source, target_bytes: int) -> tuple[list[Any], Tally]:
    documents, tallies = [], []
    for part in source.parts(target_bytes):
        tally = Tally()
        documents += pickle.loads(pickle.dumps(part)).documents(POLICY, tally)  # noqa: S301 (our own parts)
        tallies.append(tally)
    return documents, reduce(Tally.__add__, tallies)


@pytest.mark.parametrize("name", plugins.names(Source))
def test_source(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name in EXAMPLES, f"give an example of {name} here, and it is tested"
    monkeypatch.chdir(tmp_path)
    source = plugins.find(Source, name)(**EXAMPLES[name](monkeypatch))
    assert dataclasses.is_dataclass(source) and source.__dataclass_params__.frozen and type(source).__doc__  # type: ignore[attr-defined]

    whole, tally = _found(source, 10**12)
    assert whole and all(document.text.strip() for document in whole)
    assert tally.documents + tally.pieces == tally.kept + sum(tally.dropped.values())
    assert tally.kept == len(whole) and tally.bytes > 0 and sum(tally.files.values()) > 0
    for target_bytes in (10**6,) if name in SLOW else (1, 1000):
        assert _found(source, target_bytes) == (whole, tally)
    if name not in SLOW and name != "parallel":  # which drops what is too long, and cuts nothing
        repaired = "special pieces within documents" if name == "datatrove" else "control characters"
        assert tally.dropped["empty"] and tally.pieces and next(iter(tally.repaired)).startswith(repaired)

    assert build(Source, _node(to_plain(source))) == source
    assert source.digest() == source.digest()
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in source.digest().items())
    assert source.digest()
    apart: dict[str, str] = {}
    for part in source.parts(10**12):
        apart |= part.source.digest()
    assert apart == source.digest(), "the digests of what parts read are that of the whole"
