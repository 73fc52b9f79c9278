"""Answers as JSON: the same as without a server, in batches, behind the guards (RELIABILITY.md, row 43)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.interop.folder import export_folder
from afterbert.interop.loading import load_model
from afterbert.models.encoder import Encoder
from afterbert.probes.masked_model import MaskedModel
from afterbert.probes.sentence_encoder import SentenceEncoder
from invented_texts import tokenizer_called

pytest.importorskip("starlette")
from starlette.testclient import TestClient

from afterbert.play.batching import Batcher
from afterbert.play.guards import Guarded, token_for
from afterbert.play.serving import serving_app

GAPS = ["The [MASK] of the mill", "a [MASK] and a longer row with [MASK] in it, said the miller"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "mödel"
    tokenizer, kind = tokenizer_called("characters"), Encoder(hidden_size=16, intermediate_size=24)
    tokenizer.save(folder)
    torch.manual_seed(0)
    backbone = kind.build(tokenizer.vocabulary)
    head = kind.build_lm_head(backbone)
    export_folder(folder, kind, backbone, {"lm_head": head}, vocabulary=tokenizer.vocabulary, tokenizer=folder)
    return folder


def client_of(app: Guarded, **settings: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:8077", **settings)


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    return client_of(serving_app(str(folder)))


def test_answers_are_those_of_the_model(client: TestClient, folder: Path) -> None:
    masked, encoder = MaskedModel.of(load_model(folder)), SentenceEncoder.of(load_model(folder))
    found = client.post("/fill", json={"texts": GAPS, "top": 3}).json()["masks"]
    for text, gaps in zip(GAPS, found, strict=True):
        for ours, theirs in zip(masked.fill(text, top=3), gaps, strict=True):
            assert [one["piece"] for one in theirs] == [piece for piece, _ in ours]
            assert [one["share"] for one in theirs] == pytest.approx([share for _, share in ours], rel=1e-4)
    vectors = client.post("/embed", json={"texts": GAPS}).json()["vectors"]
    assert torch.tensor(vectors).numpy() == pytest.approx(encoder(GAPS), abs=1e-5)
    assert client.get("/health").json() == {
        "status": "ok",
        "model": "mödel",
        "answers": ["fill", "embed"],
        "waiting": 0,
    }
    assert client.post("/predict", json={"rows": ["a"]}).status_code == 404


def test_faults_are_told_and_kept_out(client: TestClient, folder: Path) -> None:
    def status(path: str = "/fill", body: Any = None, **headers: str) -> int:
        asked = {"texts": ["a [MASK]"]} if body is None else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(path, json=asked, headers=named).status_code

    assert status() == 200 and status(origin="http://127.0.0.1:8077") == 200
    assert status(host="evil.example") == status(host="127.0.0.1.evil.example") == 403
    assert status(origin="http://evil.example") == status(origin="null") == status(sec_fetch_site="cross-site") == 403
    assert status(host="[") == status(origin="http://[") == 400
    assert client.get("/fill").status_code == 405 and client.delete("/health").status_code == 405
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 403
    assert client.post("/fill", content=b'{"texts": ["a [MASK]"]}').status_code == 415
    assert (
        client.post("/fill", content=b" " * (10 << 20), headers={"content-type": "application/json"}).status_code == 413
    )
    for body in (
        {"texts": ["a [MASK]"], "model": "../../etc"},
        {"texts": []},
        {"texts": ["x" * 9000]},
        [],
        {"texts": [1]},
    ):
        assert status(body=body) == 400
    said = client.post("/fill", json={"texts": ["no gap", "a [MASK]"]})
    assert said.status_code == 400 and "has no mask" in said.json()["error"]
    said = client.post("/fill", json={"texts": [""]})
    assert said.json()["error"] == "texts.0: is empty; write something"
    with pytest.raises(UserError, match="name a run folder"):
        serving_app(str(folder.parent))


def test_no_text_is_cut_or_filled_up_by_what_a_tokenizer_file_says(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "told")
    file = tmp_path / "told" / "tokenizer.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    told["truncation"] = {"max_length": 6, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    told["padding"] = {"strategy": {"Fixed": 40}, "direction": "Right", "pad_id": 0, "pad_type_id": 0}
    told["padding"] |= {"pad_token": "[PAD]", "pad_to_multiple_of": None}
    file.write_text(json.dumps(told), encoding="utf-8")
    every = 10**6  # more than there are pieces
    here, there = (MaskedModel.of(load_model(one)).fill(GAPS[1], top=every) for one in (folder, tmp_path / "told"))
    assert here == there and [len(gap) for gap in here] == [tokenizer_called("characters").vocabulary.size] * 2


def test_a_token_is_needed_where_others_can_ask(folder: Path) -> None:
    token = token_for("0.0.0.0")
    assert token_for("127.0.0.1") == "" and len(token) > 20
    client = TestClient(serving_app(str(folder), token=token), base_url="http://host.lan")
    assert client.get("/health").status_code == client.get("/health?token=wrong").status_code == 401
    assert client.get("/health", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.get(f"/health?token={token}").status_code == 200
    assert client.get("/health").status_code == 200, "the browser keeps the cookie"


def test_too_many_and_too_slow_requests_are_turned_away() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    async def statuses() -> list[int]:
        guarded = Guarded(slow, most_requests=4, seconds=0.2)
        scope = {
            "type": "http",
            "method": "GET",
            "headers": [(b"host", b"localhost")],
            "query_string": b"",
            "path": "/",
        }

        async def asked() -> int:
            sent: list[Any] = []

            async def receive() -> Any:
                return {"type": "http.request", "body": b""}

            async def send(message: Any) -> None:
                sent.append(message)

            await guarded(scope, receive, send)
            return int(sent[0]["status"])

        return await asyncio.gather(*(asked() for _ in range(100)))

    found = asyncio.run(statuses())
    assert found.count(503) == 4 and found.count(429) == 96


def test_rows_of_concurrent_requests_are_answered_together_and_faults_alone() -> None:
    batches: list[int] = []

    def answer(items: list[int]) -> Sequence[int]:
        batches.append(len(items))
        if 13 in items:
            raise UserError("13 is no good")
        return [item * 2 for item in items]

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(1) as thread:
            batcher = Batcher(answer, thread, most=8)
            return await asyncio.gather(*(batcher([n]) for n in range(20)), return_exceptions=True)

    found = asyncio.run(ask())
    assert [one for n, one in enumerate(found) if n != 13] == [[2 * n] for n in range(20) if n != 13]
    assert isinstance(found[13], UserError)
    assert max(batches) == 8 and sum(size == 8 for size in batches) == 2
