"""The playground: every idea acts on a typed text, models are chosen by number, and a browser shows it all."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from afterbert.interop.folder import export_folder
from afterbert.models.encoder import Encoder
from afterbert.recipes import known, resolve
from invented_texts import tokenizer_called

pytest.importorskip("starlette")
from starlette.testclient import TestClient

from afterbert.play.playing import IdeaAsked, ideas, playing_app
from afterbert.study.claims import claims

TEXT = "The cat sat on the mat. It was <b>not</b> amused by that. Then it left."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("played") / "mödel"
    tokenizer, kind = tokenizer_called("characters"), Encoder(hidden_size=16, intermediate_size=24)
    tokenizer.save(folder)
    torch.manual_seed(0)
    backbone = kind.build(tokenizer.vocabulary)
    head = kind.build_lm_head(backbone)
    export_folder(folder, kind, backbone, {"lm_head": head}, vocabulary=tokenizer.vocabulary, tokenizer=folder)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    app = playing_app([str(folder)], folder.parent / "runs", folder.parent)
    return TestClient(app, base_url="http://127.0.0.1")


def test_ideas_are_recipes_in_the_order_of_the_article_each_in_two_sentences() -> None:
    assert set(ideas()) <= set(known()) and next(iter(ideas())) == "bert"
    for recipe, idea in ideas().items():
        assert len(re.findall(r"[.;](?= |$)", idea.why)) >= 2, recipe
        assert set(idea.claims) <= set(claims()), recipe


def test_an_idea_acts_on_the_text_and_the_sliders_on_the_idea(client: TestClient) -> None:
    def drawn(**settings: object) -> str:
        found = client.post("/idea", json={"text": TEXT, "recipe": "spanbert", **settings})
        assert found.status_code == 200, found.text
        return str(found.json()["html"])

    usual, more = drawn(), drawn(rate=0.6, span=5.0, unit="piece")
    assert usual.count('class="mark mask"') < more.count('class="mark mask"')
    assert "<b>" not in usual and usual == drawn() != drawn(seed=7)
    spans = IdeaAsked(text=TEXT, recipe="bart", span=4.0).overrides(resolve("bart"))
    assert spans == [("objective.pretext.edits.1.selection.mean", "4.0")] or spans[0][0].endswith("selection.mean")


def test_ideas_act_on_other_scripts_too(client: TestClient) -> None:
    for text in ("我们今天在北京大学学习。天气很好！", "यह एक किताब है। वह घर गया।", "Það er ákveðið. Hún fór heim."):
        for recipe in ("bert", "t5"):
            found = client.post("/idea", json={"text": text, "recipe": recipe})
            assert found.status_code == 200, found.text
            assert "\ufffd" not in found.json()["html"]


def test_models_are_looked_at_by_number_and_nothing_is_a_path(client: TestClient) -> None:
    look = client.post("/look", json={"text": "The [MASK] of the mill", "model": 0, "layer": 0}).json()
    size = len(look["pieces"])
    assert len(look["masks"]) == 1 and len(look["masks"][0]) == 5 and look["layers"] == 2
    assert [len(head) for head in look["weights"]] == [size * size] * 2
    assert sum(look["weights"][0][:size]) == pytest.approx(1, abs=0.02)
    assert "no mask" in client.post("/look", json={"text": "no gap", "model": 0}).json()["note"]
    near = client.post("/near", json={"texts": ["the mill", "a mill", "3.14"], "model": 0}).json()["near"]
    assert len(near) == 2 and near[0]["share"] >= near[1]["share"]
    for path, body in (
        ("/look", {"text": "a", "model": 7}),
        ("/look", {"text": "a", "model": "../../etc/passwd"}),
        ("/look", {"text": "a", "model": 0, "path": "x"}),
        ("/idea", {"text": TEXT, "recipe": "/etc/passwd"}),
        ("/idea", {"text": "x" * 3000, "recipe": "bert"}),
    ):
        assert client.post(path, json=body).status_code == 400
    assert client.get("/look").status_code == 405
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    assert (
        client.post("/near", json={"texts": ["a", "b"], "model": 0}, headers={"origin": "http://x"}).status_code == 403
    )


def test_the_page_lets_nothing_in_from_elsewhere_and_says_what_it_shows(client: TestClient) -> None:
    got = client.get("/")
    assert got.headers["x-frame-options"] == "DENY" and got.headers["cache-control"] == "no-store"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', got.text)
    assert policy and "connect-src 'self'" in policy[1] and "unsafe" not in policy[1]
    assert not re.findall(r'(?:src|href)="(?!#)', got.text)
    assert got.text.count("data-recipe=") == len(ideas()) and "mödel" in got.text
    assert "No run lies below runs" in client.get("/runs").text


@pytest.fixture
def address(folder: Path, tmp_path: Path) -> Iterator[str]:
    """A server of its own process, on a free port."""
    command = [sys.executable, "-m", "afterbert", "play", str(folder), "--runs", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}) as server:
        assert server.stdout is not None
        said = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())
        try:
            assert said is not None
            yield said[0]
        finally:
            server.terminate()


def test_chromium_draws_every_idea_wide_and_narrow(address: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium is installed")
    usual = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    usual += [f"--user-data-dir={tmp_path}/browser", "--virtual-time-budget=60000"]
    shown = subprocess.run([*usual, "--dump-dom", address], capture_output=True, text=True, timeout=110).stdout
    assert 'data-drawn="all"' in shown and shown.count('<svg class="sight"') > len(ideas())
    assert 'class="piece"' in shown and "No run lies below" in shown
    for width in (1200, 500):
        out = tmp_path / f"{width}.png"
        asked = [*usual, f"--window-size={width},2000", f"--screenshot={out}", address]
        subprocess.run(asked, capture_output=True, timeout=110, check=True)
        assert struct.unpack(">II", out.read_bytes()[16:24]) == (width, 2000) and out.stat().st_size > 50_000
