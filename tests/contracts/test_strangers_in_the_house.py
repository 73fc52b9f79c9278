"""What nobody foresaw gets everything that what comes along gets: an objective around another, and a fifth kind of
architecture, each one file in a folder of plug-ins; the same for a mixture.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from transformers import AutoModel

from afterbert import models, objectives
from afterbert.base import plugins
from afterbert.base.runs import RunFolder
from afterbert.interop.loading import load_model
from afterbert.nn.inputs import Inputs
from afterbert.probes.masked_model import MaskedModel
from afterbert.recipes import resolve
from afterbert.report import write_report
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.gallery import exhibits_of
from afterbert.workflows.pretraining import newest_checkpoint, pretrain

AVERAGING = '''
"""A model without attention: in every layer each piece learns the mean of its row."""

from dataclasses import dataclass

import torch
from torch import nn

from afterbert.models import Architecture, Backbone
from afterbert.nn.embeddings import Embeddings, table_of
from afterbert.nn.heads import LMHead
from afterbert.nn.initializations import Initialization
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.places import at_places
from afterbert.nn.recording import Attended
from afterbert.nn.sizes import Sizes
from afterbert.nn.visibility import is_piece


@dataclass(frozen=True)
class Averaging(Architecture):
    reads = "both_ways"
    writes = "nothing"
    summary = "first"
    obeys_visibility = False

    vocab_size: int | None = None
    hidden_size: int = 32
    num_hidden_layers: int = 2
    max_position_embeddings: int = 64
    initialization: Initialization = Normal()

    @property
    def sizes(self):
        width = self.hidden_size
        return Sizes(width, self.num_hidden_layers, 1, width, self.max_position_embeddings, 0.0, 0.0)

    def build(self, vocabulary):
        backbone = AveragingModule(self, self.table_size(vocabulary))
        self.initialization.apply(backbone, self.num_hidden_layers)
        return backbone

    def build_lm_head(self, backbone):
        head = LMHead().build(self.hidden_size, table_of(backbone), LayerNorm())
        self.initialization.apply(head, self.num_hidden_layers)
        return head

    def flops_per_token(self, vocab_size, length):
        return 2.0 * self.num_hidden_layers * self.hidden_size**2

    def lm_head_flops(self, vocab_size):
        return LMHead().flops_per_piece(vocab_size, self.hidden_size, self.hidden_size)


class AveragingModule(Backbone):
    def __init__(self, config, vocab_size):
        super().__init__()
        self.embeddings = Embeddings().build(vocab_size, config.sizes, LayerNorm())
        self.mixers = nn.ModuleList(
            nn.Linear(config.hidden_size, config.hidden_size) for _ in range(config.num_hidden_layers)
        )
        self.recording = None

    def forward(self, input_ids, *, token_type_ids=None, position_ids=None, visibility=None, wanted=None):
        from afterbert.nn.inputs import Inputs

        inputs = Inputs(input_ids, token_type_ids, position_ids, visibility=visibility)
        hidden = self.embeddings.of(inputs)
        seen = is_piece(visibility, hidden.shape[1])
        seen = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device) if seen is None else seen
        weights = (seen / seen.sum(1, keepdim=True))[:, None, None].expand(-1, 1, hidden.shape[1], -1).to(hidden)
        kept = None if self.recording is None else self.recording.begin("stack", hidden)
        for mixer in self.mixers:
            mixed = weights @ hidden[:, None]
            if kept is not None and self.recording.keeps_attention:
                one = hidden[:, None]
                kept.attention.append(Attended(one, one, one, weights.clamp(min=1e-9).log(), weights, mixed))
            hidden = hidden + mixer(mixed[:, 0])
            if kept is not None:
                kept.hidden.append(hidden)
        if kept is not None:
            kept.last = hidden
        return at_places(hidden, wanted)

    def read(self, inputs, *, wanted=None):
        return self(inputs.input_ids, **inputs.beside_ids(), wanted=wanted)
'''

COUNTED = '''
"""The same task, with a part of the score that wants small hidden states: an objective around another."""

from dataclasses import dataclass

from afterbert.nn.recording import recorded
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective


@dataclass(frozen=True)
class SmallStates(WrappingObjective):
    loss_weight: float = 0.1

    def wrap(self, inner, architecture, vocabulary):
        return SmallStatesModule(inner, self.loss_weight)

    def pose(self, plan, numbers, noise, *, vocabulary, length):
        from dataclasses import replace

        batch = super().pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        return replace(batch, counts={**batch.counts, "size": batch.num_tokens})


class SmallStatesModule(WrappingModule):
    def __init__(self, inner, loss_weight):
        super().__init__(inner)
        self.loss_weights = {**inner.loss_weights, "size": loss_weight}

    def forward(self, arrays):
        with recorded(self.backbone) as recording:
            scores = self.inner(arrays)
        return {**scores, "size": recording.passes[-1].last.pow(2).mean(-1).sum()}

    def meanings(self):
        return {**self.inner.meanings(), "size": Meaning("hidden states, mean square", "per piece")}
'''

RECIPE = """
extends: bert-mlm
title: {title}
length: 32
tokenizer: {{type: wordpiece, vocab_size: 200, min_frequency: 1}}
training: {{budget: 6steps, batch_size: 8, precision: fp32, workers: 0}}
sizes: {{tiny: {{model: {{hidden_size: 32, intermediate_size: 48}}}}}}
{rest}
"""

WRAPPED = """
objective:
  type: small_states
  inner:
    type: masked_lm
    pretext:
      pairing: {type: packed, bounds: cross}
      edits: [{selection: {type: fixed_count, unit: piece, rate: 0.15}, corruption: {type: mask}}]
      answers: [in_place]
"""

AVERAGED = """
title: An averaging one
length: 32
tokenizer: {type: wordpiece, vocab_size: 200, min_frequency: 1}
model: {type: averaging}
objective:
  type: masked_lm
  pretext:
    pairing: {type: packed, bounds: cross}
    edits: [{selection: {type: fixed_count, unit: piece, rate: 0.15}, corruption: {type: mask}}]
    answers: [in_place]
training:
  budget: 6steps
  batch_size: 8
  precision: fp32
  workers: 0
  optimizer: {type: adamw, learning_rate: 1e-3}
  schedule: {type: linear, warmup: 0.1}
"""

TEXT = "the old sailor paints a small boat and sells it near river while her cousin hides two red lamps"
WORDS = TEXT.split()


def plugged(package: ModuleType, name: str, source: str, folder: Path) -> None:
    """One more file in a folder of plug-ins."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    package.__path__.append(str(folder))


@pytest.fixture(scope="module", autouse=True)
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Both files, found as those that come along are, and forgotten afterwards."""
    folder = tmp_path_factory.mktemp("plugins")
    before = {package: list(package.__path__) for package in (models, objectives)}
    plugged(models, "averaging", AVERAGING, folder / "models")
    plugged(objectives, "small_states", COUNTED, folder / "objectives")
    for cache in (plugins.names, plugins.find):
        cache.cache_clear()
    importlib.invalidate_caches()
    yield
    for package, paths in before.items():
        package.__path__[:] = paths
    for cache in (plugins.names, plugins.find):
        cache.cache_clear()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("text")
    lines = [
        " ".join(WORDS[(number * step + shift) % len(WORDS)] for number in range(12)) + "."
        for step in (1, 2, 3, 5, 7)
        for shift in range(24)
    ]
    documents = ["\n".join(lines[at : at + 4]) for at in range(0, len(lines), 4)]
    (folder / "text.txt").write_text("\n\n".join(documents) + "\n")
    return prepare(
        [Txt(path=str(folder / "text.txt"), documents="paragraphs")],
        folder / "store",
        tokenizer=WordPiece(vocab_size=200, min_frequency=1),
        held_out=0.3,
        processes=1,
    )


def recipe_file(kind: str, folder: Path) -> Path:
    text = RECIPE.format(title=f"A {kind} one", rest=WRAPPED if kind == "wrapped" else "")
    if kind == "mixture":
        text = text.replace("bert-mlm", "masked-causal")
    file = folder / f"{kind}.yaml"
    file.write_text(AVERAGED if kind == "architecture" else text)
    return file


@pytest.mark.parametrize("kind", ["plain", "wrapped", "mixture", "architecture"])
def test_all_of_them_get_what_a_plain_one_gets(kind: str, store: Store, tmp_path: Path) -> None:
    resolved = resolve(str(recipe_file(kind, tmp_path)))
    run = RunFolder.create(tmp_path, "run")
    done = pretrain(resolved, store, run)
    evaluation = json.loads((run.path / "evaluation.json").read_text())
    assert evaluation["measures"]["masked_accuracy"] >= 0
    assert set(evaluation["baselines"]) == {"most_frequent_piece", "left_and_right_neighbour"}
    assert evaluation["shared"]["count"] > 0 and len(evaluation["shared"]["interval"]) == 2
    assert "random weights" in evaluation["shared"]["beside"]
    assert [figure["name"] for figure in evaluation["without_training"]]
    samples = json.loads((run.path / "samples.json").read_text())
    assert samples["corrupted"] and samples["filled"]
    statistics = json.loads((run.path / "statistics.json").read_text())
    assert "chosen_share" in statistics.get("masked", statistics)
    named = json.loads((run.path / "figures.json").read_text())
    assert set(done.module.loss_weights) <= set(named["others"])
    shown = exhibits_of(resolved.question, store)
    assert shown and all(one.picture is not None for one in shown)
    page = write_report(run.path).read_text()
    assert "Of 100 hidden pieces" in page and "the model was shown" in page

    trained = done.module.backbone.state_dict()
    kept = newest_checkpoint(run.path)
    for name, tensor in kept.weights["backbone"].items():
        assert torch.equal(tensor, trained[name]), name
    loaded = MaskedModel.of(load_model(run.path))
    assert len(loaded.fill("the old [MASK] paints a boat")) == 1
    saved = loaded.loaded.backbone().eval()
    ids = torch.tensor([loaded.tokenizer.plain.encode("the old sailor").ids])
    with torch.inference_mode():
        expected = done.module.backbone.read(Inputs(ids))
        torch.testing.assert_close(saved.read(Inputs(ids)), expected, atol=1e-6, rtol=1e-5)
        found = AutoModel.from_pretrained(run.model).eval()(input_ids=ids).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    layers = saved.layers(Inputs(ids), attention=True)
    count = loaded.loaded.architecture.num_hidden_layers
    assert len(layers.hidden) == count + 1 and len(layers.attention) == count
    for one in layers.attention:
        torch.testing.assert_close(one.weights.sum(-1), torch.ones_like(one.weights[..., 0]))


@pytest.mark.parametrize("kind", ["wrapped", "architecture"])
def test_a_stranger_is_a_name_in_recipes(kind: str, tmp_path: Path) -> None:
    resolved = resolve(str(recipe_file(kind, tmp_path)))
    found = resolved.recipe.objective if kind == "wrapped" else resolved.recipe.model
    assert plugins.name_of(found) == {"wrapped": "small_states", "architecture": "averaging"}[kind]
