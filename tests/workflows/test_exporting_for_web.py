"""What transformers.js loads: Hugging Face's files with a graph in eight bits where it looks for one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from afterbert.interop.folder import export_folder
from afterbert.interop.loading import load_model
from afterbert.models.encoder import Encoder
from afterbert.probes.masked_model import MaskedModel
from afterbert.workflows.exporting import export_model_folder
from invented_texts import tokenizer_called

GAP = "The [MASK] of the mill"
SCRIPT = """
import { env, pipeline } from "@huggingface/transformers";
env.allowRemoteModels = false;
env.localModelPath = process.argv[2];
const fill = await pipeline("fill-mask", "web", { dtype: "q8" });
console.log(JSON.stringify(await fill(process.argv[3], { top_k: 1 })));
"""


def test_the_folder_holds_what_transformers_js_looks_for(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tokenizer, kind = tokenizer_called("wordpiece"), Encoder(hidden_size=32, intermediate_size=64)
    tokenizer.save(tmp_path / "model")
    torch.manual_seed(0)
    backbone = kind.build(tokenizer.vocabulary)
    head = kind.build_lm_head(backbone)
    head.bias.data[77] = 9.0  # type: ignore[union-attr,operator]  # a clear first guess
    export_folder(
        tmp_path / "model",
        kind,
        backbone,
        {"lm_head": head},
        vocabulary=tokenizer.vocabulary,
        tokenizer=tmp_path / "model",
    )
    (made,) = export_model_folder(tmp_path / "model", tmp_path / "web", web=True)
    names = {str(path.relative_to(tmp_path / "web")) for path in (tmp_path / "web").rglob("*") if path.is_file()}
    ours = {".afterbert.json"}
    assert names - ours == {"config.json", "tokenizer.json", "tokenizer_config.json", "onnx/model_quantized.onnx"}
    assert json.loads((tmp_path / "web" / "config.json").read_text())["architectures"] == ["BertForMaskedLM"]
    graph = made.graph
    assert graph is not None and graph.path == tmp_path / "web" / "onnx" / "model_quantized.onnx"
    session = onnxruntime.InferenceSession(str(graph.path))
    assert "logits" in [one.name for one in session.get_outputs()]
    masked = MaskedModel.of(load_model(tmp_path / "model"))
    ids = np.array([tokenizer.backend.encode(GAP).ids])
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    logits = session.run(["logits"], {one.name: given[one.name] for one in session.get_inputs()})[0]
    place = int(np.flatnonzero(ids[0] == tokenizer.vocabulary.mask)[0])
    assert tokenizer.backend.id_to_token(int(logits[0, place].argmax())) == masked.fill(GAP)[0][0][0]

    script = tmp_path / "fill.mjs"
    script.write_text(SCRIPT)
    modules = Path(os.environ.get("NODE_PATH") or tmp_path / "node_modules")
    if shutil.which("node") and (modules / "@huggingface" / "transformers").is_dir():
        (tmp_path / "node_modules").symlink_to(modules)
        said = subprocess.run(
            ["node", str(script), f"{tmp_path}/", GAP], capture_output=True, text=True, check=True, timeout=100
        )
        assert json.loads(said.stdout)[0]["token"] == int(logits[0, place].argmax())
