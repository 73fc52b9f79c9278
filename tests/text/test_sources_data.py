"""What needs the extra `data`: Parquet files and data sets of the hub."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from afterbert.base.errors import UserError
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.reading import read
from afterbert.text.sources.hub import Hub
from afterbert.text.sources.parquet import Parquet

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_parquet(name: str, **columns: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table(columns), name, row_group_size=3)


def test_parquet_is_read_by_row_groups() -> None:
    pa = pytest.importorskip("pyarrow")
    texts = ["one", "cafe\u0301", None, "", "bell\x07", "six", "seven"]
    languages = pa.array(["en", "fr", None, "de", "en", "en", "en"]).dictionary_encode()
    write_parquet("a.parquet", text=texts, id=list(range(10, 17)), lang=languages, other=list(range(7)))
    source = Parquet("a.parquet", language_column="lang")
    parts = source.parts(1)
    assert [(part.start, part.stop) for part in parts] == [(0, 1), (1, 2), (2, 3)]
    tally = Tally()
    documents = [document for part in parts for document in part.documents(Policy(), tally)]
    assert [tuple(document)[:3] for document in documents] == [
        ("10", "one", "en"),
        ("11", "café", "fr"),
        ("14", "bell ", "en"),
        ("15", "six", "en"),
        ("16", "seven", "en"),
    ]
    assert tally.dropped == {"empty": 2} and tally.documents == 7 and tally.files == {".parquet": 1}
    assert str(tally.places["empty"]) == "a.parquet (row 2)"
    assert len(source.parts(10**9)) == 1
    assert [d.id for d in read([Parquet("a.parquet", id_column="no")], Policy(max_dropped_share=1))][
        -1
    ] == "a.parquet@6"


def test_any_column_may_hold_ids_and_bad_bytes_are_told_by_row() -> None:
    pa = pytest.importorskip("pyarrow")
    for number, ids in enumerate(([1.0, None], [True, False], [b"ab", None], [[1], [2]])):
        write_parquet(f"{number}.parquet", text=["one", "two"], id=ids)
        assert next(read([Parquet(f"{number}.parquet")])).id == ["1.0", "True", "ab", "[1]"][number]
    write_parquet("b.parquet", text=pa.array([b"fine", b"four\xff"]).view(pa.string()))
    with pytest.raises(UserError, match=r"b.parquet \(row 1\): byte 0xFF"):
        list(read([Parquet("b.parquet")]))


def test_a_large_row_group_is_read_by_the_megabyte() -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    texts = [f"{number} " + "some words " * 900 for number in range(2_000)]
    plain = {"compression": "none", "use_dictionary": False}
    pq.write_table(pa.table({"text": texts, "other": texts}), "a.parquet", row_group_size=10_000, **plain)
    source = Parquet("a.parquet")
    [part] = source.parts(1_000)
    assert 19e6 < part.num_bytes < 21e6, "of both columns only one is read"
    del texts
    tracemalloc.start()
    try:
        assert sum(1 for _ in part.documents(Policy(), Tally())) == 2_000
        assert tracemalloc.get_traced_memory()[1] < 12e6
    finally:
        tracemalloc.stop()


def test_parquet_that_does_not_fit_is_one_line() -> None:
    pa = pytest.importorskip("pyarrow")
    write_parquet("a.parquet", body=["x"], number=[1])
    for source, message in [
        (Parquet("a.parquet"), "a.parquet: no column is called 'text'; known: body, number"),
        (Parquet("a.parquet", text_column="bodi"), "a.parquet: no column is called 'bodi'; did you mean 'body'?"),
        (Parquet("a.parquet", text_column="number"), "a.parquet: column 'number' holds int64, strings are needed"),
    ]:
        with pytest.raises(UserError) as caught:
            source.parts(1)
        assert str(caught.value) == message
    raw = Path("a.parquet").read_bytes()
    for damaged in (raw[:-6], b"no parquet at all", b""):
        Path("b.parquet").write_bytes(damaged)
        with pytest.raises(UserError, match=r"^b.parquet is not a sound Parquet file \(.*\); fetch it again$"):
            Parquet("b.parquet", text_column="body").parts(1)
    invalid = pa.array([b"ok", b"\xff"], pa.binary())
    write_parquet("c.parquet", text=pa.Array.from_buffers(pa.string(), 2, invalid.buffers()))
    with pytest.raises(UserError, match=r"c.parquet \(row 1\): byte 0xFF"):
        list(read([Parquet("c.parquet")]))


def test_without_the_libraries_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError) as caught:
        Parquet("a.parquet").parts(1)
    assert str(caught.value) == "a.parquet needs the pyarrow library: pip install 'afterbert[data]'"
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError) as caught:
        Hub("owner/name").parts(1)
    assert str(caught.value) == "hub:owner/name needs the datasets library: pip install 'afterbert[data]'"


def test_a_hub_data_set_is_pinned_and_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    rows: list[dict[str, Any]] = [{"text": "one", "id": "a"}, {"text": None, "id": "b"}, {"text": "cafe\u0301"}]
    asked: list[dict[str, Any]] = []

    def load(path: str, **options: Any) -> Any:
        asked.append({"path": path, **options})
        return iter(rows)

    class Info:
        sha = COMMIT

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda self, path, **options: Info)
    source = Hub("owner/name", config="plain", split="test", language="fr")
    tally = Tally()
    documents = list(read([source], Policy(max_dropped_share=0.5), tally))
    assert [tuple(d)[:3] for d in documents] == [("a", "one", "fr"), ("hub:owner/name@2", "café", "fr")]
    assert asked == [{"path": "owner/name", "name": "plain", "split": "test", "revision": COMMIT, "streaming": True}]
    assert source.digest() == {"hub:owner/name": f"{COMMIT} config=plain split=test language=fr"}
    assert tally.files == {"hub": 1} and tally.dropped == {"empty": 1}
    with pytest.raises(UserError, match="hub:owner/name has no column 'body'; known: text, id"):
        list(read([Hub("owner/name", text_column="body")]))
    rows[:] = [{"text": "one", "lang": 3}]
    assert next(read([Hub("owner/name", language_column="lang")])).language == "3"


@pytest.mark.parametrize(
    "environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}]
)
def test_an_unreachable_hub_is_one_line_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    program = (
        "from afterbert.base.errors import UserError\n"
        "from afterbert.text.from_paths import sources_for\n"
        "try:\n"
        "    [source.parts(1) for source in sources_for(['hub:owner/name'])]\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HF_HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stderr == ""
    [line] = result.stdout.splitlines()
    assert line.startswith("hub:owner/name cannot be read: ")
    assert line.endswith("; check name and network, or use local files")
