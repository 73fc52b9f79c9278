"""The page with a model inside: cuts texts and names pieces as Python does, under node, in Chromium and in Firefox."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from browsers import in_chromium, in_firefox

from afterbert.base.errors import UserError
from afterbert.interop.folder import export_folder
from afterbert.interop.loading import load_model
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Stack
from afterbert.probes.masked_model import MaskedModel
from afterbert.report import model_page
from afterbert.report.model_page import quantized, write_model_page
from invented_texts import ALL, RECIPES, tokenizer_called

BERT = Encoder(hidden_size=40, num_attention_heads=2, intermediate_size=72, max_position_embeddings=256)
LAPTOP = replace(
    BERT,
    norm=LayerNorm(eps=1e-5, bias=False),
    embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0),
    stack=Stack(
        attention=Attention(bias=False, positions=Rotary()),
        feed_forward=Gated(),
        residual=PreNorm(has_first_norm=False),
    ),
)
ALBERT = replace(BERT, embeddings=Embeddings(embedding_size=24))
LAYOUTS = {"wordpiece": BERT, "characters": LAPTOP, "bpe": LAPTOP, "unigram_lower": ALBERT}
GAPS = ("The [MASK] of the mill, ákveðið [MASK]!", "我们[MASK]学习 [MASK] ok", "rock 'n' <mask> 3.14 miles")
NODE = """
const A = require(process.argv[1]), html = require("fs").readFileSync(process.argv[2], "utf8");
const inside = id => html.match(new RegExp(`id="${id}">(.*?)</script>`, "s"))[1];
const model = A.load(JSON.parse(inside("model")), Uint8Array.from(Buffer.from(inside("weights"), "base64")).buffer);
const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
const ids = told.texts.map(text => model.framed(model.encode(text)));
console.log(JSON.stringify([ids, told.gaps.map(text => model.fill(text).masks)]));
"""
with_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


@pytest.fixture(scope="module", params=LAYOUTS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of random weights."""
    folder = tmp_path_factory.mktemp("page") / "mödel é"
    tokenizer = tokenizer_called(request.param)
    tokenizer.save(folder)
    torch.manual_seed(0)
    backbone = LAYOUTS[request.param].build(tokenizer.vocabulary)
    head = LAYOUTS[request.param].build_lm_head(backbone)
    for parameter in (*backbone.parameters(), *head.parameters()):
        parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    export_folder(
        folder,
        LAYOUTS[request.param],
        backbone,
        {"lm_head": head},
        vocabulary=tokenizer.vocabulary,
        tokenizer=folder,
        or_own=True,
    )
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    out = folder.parent / "page with ünïcode.html"
    assert write_model_page(folder, out) == out.stat().st_size < 3_000_000
    return out


def rounded(folder: Path) -> MaskedModel:
    """The model with weights as the page holds them."""
    masked = MaskedModel.of(load_model(folder))
    for part in masked.language_model.parts().values():
        for parameter in part.parameters():
            if parameter.dim() > 1:
                codes, scales = quantized(parameter.detach().numpy())
                whole = np.repeat(scales, model_page.GROUP, axis=1)[:, : codes.shape[1]] * codes
                assert np.abs(whole - parameter.detach().numpy()).max() <= scales.max() / 2 + 1e-6
                parameter.data.copy_(torch.from_numpy(whole))
    return masked


@with_node
def test_javascript_cuts_and_fills_as_python_does(folder: Path, page: Path) -> None:
    script = Path(model_page.__file__).with_name("page") / "model.js"
    given = json.dumps({"texts": ALL, "gaps": GAPS})
    found = subprocess.run(
        ["node", "-e", NODE, str(script), str(page)], input=given, capture_output=True, text=True, check=True
    )
    ids, filled = json.loads(found.stdout)
    masked = rounded(folder)
    for text, theirs in zip(ALL, ids):
        assert theirs == masked.tokenizer.backend.encode(text).ids[: masked.loaded.longest], text
    for text, gaps in zip(GAPS, filled):
        for ours, theirs in zip(masked.fill(text), gaps, strict=True):
            names = [masked.tokenizer.backend.id_to_token(one["id"]) for one in theirs]
            assert names == [piece for piece, _ in ours], text
            assert [one["share"] for one in theirs] == pytest.approx([share for _, share in ours], rel=1e-3)


@pytest.mark.enable_socket
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shown_in", [in_chromium, in_firefox])
def test_browsers_open_it_from_disk_and_answer_alike(folder: Path, page: Path, tmp_path: Path, shown_in: Any) -> None:
    shown = shown_in(f"{page.as_uri()}#text={quote(GAPS[0])}", tmp_path)
    said = re.search(r'data-top="([^"]*)"', shown)
    assert said is not None, shown[-2000:]
    masked = rounded(folder)
    names = [[masked.tokenizer.backend.id_to_token(one) for one in gap] for gap in json.loads(html.unescape(said[1]))]
    assert names == [[piece for piece, _ in gap] for gap in masked.fill(GAPS[0])]
    assert float(re.search(r'data-milliseconds="([\d.]+)"', shown)[1]) > 0  # type: ignore[index]
    assert shown.count('class="exhibit"') == 7


def test_the_policy_names_the_scripts_by_their_hashes_and_nothing_else(page: Path) -> None:
    text = page.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy and policy[1].startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy[1]
    assert not re.findall(r'(?:src|href)="(?!#)', text) and ' style="' not in text and " on" + "load=" not in text


def test_what_a_page_cannot_hold_is_refused_with_the_other_way(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<p>by hand</p>")
    with pytest.raises(UserError, match="not a file that afterbert made"):
        write_model_page(folder, mine)
    with pytest.raises(UserError, match="a page is an .html file"):
        write_model_page(folder, tmp_path / "page.txt")
    monkeypatch.setattr(model_page, "_MOST_PARAMETERS", 1000)
    with pytest.raises(UserError, match=r"parameters, a page holds 1 k at most; `afterbert export .* --web`"):
        write_model_page(folder, tmp_path / "page.html")


def test_every_trained_tokenizer_can_go_into_a_page() -> None:
    for name in RECIPES:
        tokenizer = tokenizer_called(name)
        told = model_page._tokenizer(tokenizer, "")
        assert told["model"]["pieces"][tokenizer.vocabulary.mask] == tokenizer.settings["mask_token"], name
        digits = '"Digits", "individual_digits": true'
        other = tokenizer.file.replace('"type": "NFC"', '"type": "Nmt"').replace('"BertPreTokenizer"', digits)
        if other != tokenizer.file:
            with pytest.raises(UserError, match="cannot run this tokenizer"):
                model_page._tokenizer(replace(tokenizer, file=other), "")
