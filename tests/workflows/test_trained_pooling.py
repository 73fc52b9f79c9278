"""A model whose training was about one vector a text is read with the pooling that it was trained with."""

import json
from pathlib import Path

import numpy as np
import pytest

import afterbert as ab
from afterbert.interop.sentences import Sentences
from afterbert.probes.sentence_encoder import SentenceEncoder
from afterbert.workflows.exporting import export_model_folder
from afterbert.workflows.loading import load_model_or_checkpoint
from afterbert.workflows.pretraining import newest_checkpoint

SENTENCES = ["The door was red .", "Two boys ran to the old mill by the river .", "Rain fell on the hill ."]
TEXT = "\n\n".join("\n".join(f"{sentence} It was day {day} ." for sentence in SENTENCES) for day in range(12))
SETTINGS = {
    "training.precision": "fp32",
    "training.workers": "0",
    "tokenizer.type": "bpe",
    "tokenizer.vocab_size": "300",
    "training.batch_size": "4",
    "training.checkpoint_every": "1steps",
    "length": "32",
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pooled") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(("recipe", "pooling"), [("simcse", "first"), ("tsdae", "first"), ("laptop", None)])
def test_pooling_of_training(
    recipe: str, pooling: str | None, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(text.parent)
    run = ab.pretrain(text, recipe=recipe, size="tiny", budget="2steps", overrides=SETTINGS)
    folder = Path(run.path)
    assert ("--from RUN" in " ".join(capsys.readouterr().out.split())) == (recipe == "simcse")
    for loaded in (load_model_or_checkpoint(str(folder)), newest_checkpoint(folder)):
        told = loaded.sentences
        assert (told and told.pooling) == pooling
        assert f"/{pooling or 'mean'}/" in SentenceEncoder.of(loaded).identity
    model = ab.load(folder)
    np.testing.assert_array_equal(model.encode("Two boys ."), model.encode("Two boys .", pooling=pooling or "mean"))
    assert (folder / "model" / "modules.json").is_file() == (recipe == "simcse")
    assert (json.loads((folder / "model" / "config.json").read_text()).get("sentence_pooling")) == (
        "first" if recipe == "tsdae" else None
    )
    (exported,) = export_model_folder(folder, text.parent / f"out-{recipe}")
    carried = Sentences.told_by(exported.folder)
    assert (carried and carried.pooling) == pooling
