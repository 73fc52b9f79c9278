"""A narrow model is fine-tuned at a higher rate than BERT's, unless somebody names one."""

import json
from pathlib import Path

import pytest
import torch

from afterbert.cli.main import run
from afterbert.interop.folder import export_folder
from afterbert.models.encoder import Encoder
from afterbert.text.tokenizers.wordpiece import WordPiece

ROWS = [f"the {word} mill is {kind},{kind}" for word in ("old", "red", "far", "new") for kind in ("good", "poor")]


@pytest.mark.parametrize(
    ("width", "said", "rate"),
    [(192, [], 8e-4), (192, ["--learning-rate", "5e-5"], 5e-5), (192, ["--recipe", "mt-dnn"], 5e-5), (768, [], 5e-5)],
)
def test_rate_by_width(
    width: int, said: list[str], rate: float, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows").mkdir()
    for split in ("train", "dev"):
        Path("rows", f"{split}.csv").write_text("text,label\n" + "\n".join(ROWS))
    tokenizer = WordPiece(vocab_size=60, min_frequency=1).make([" ".join(ROWS)], corpus_bytes=999)
    tokenizer.save(Path("tokenizer"))
    model = Encoder(hidden_size=width, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32)
    torch.manual_seed(0)
    made = {"vocabulary": tokenizer.vocabulary, "tokenizer": Path("tokenizer")}
    export_folder(Path("model"), model, model.build(tokenizer.vocabulary), {}, **made)
    short = ["--budget", "1steps", "--seeds", "1", "--out", "out", "--finetuning.precision", "fp32"]
    assert run(["finetune", "--model", "model", "--task", "mills:rows", *short, *said]) == 0
    assert json.loads(Path("out/results.json").read_text())["settings"]["optimizer"]["learning_rate"] == rate
    assert ("for a model 192 wide" in capsys.readouterr().out) == (rate == 8e-4)
