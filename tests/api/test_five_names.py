"""`import afterbert as ab`: light to import, the same results as the command line, tables that print."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import afterbert as ab
from afterbert.api.shown import SmallTable
from afterbert.base.errors import UserError
from afterbert.base.run_files import RUN_FILES
from afterbert.base.runs import RunFolder
from afterbert.cli.main import run as command
from afterbert.recipes import resolve
from afterbert.workflows.closing import Closing

WORDS = ("the", "cat", "sat", "on", "the", "mat", "and", "the", "dog", "lay", "by", "the", "door")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    lines = [" ".join(np.random.default_rng(n).choice(WORDS, 12)) + "." for n in range(300)]
    (folder / "a b é.txt").write_text("\n\n".join(lines))
    return folder / "a b é.txt"


@pytest.fixture(scope="module")
def trained(texts: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("runs")
    return ab.pretrain(
        texts, size="tiny", budget="6steps", out=out, overrides={"masking.rate": 0.4, "training.precision": "fp32"}
    )


def test_importing_is_light_and_names_come_when_used():
    code = (
        "import sys, time; began = time.process_time(); import afterbert as ab; spent = time.process_time() - began\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules), sorted(sys.modules)\n"
        "assert set(ab.__all__) <= set(dir(ab)); print(spent)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        ab.no_such  # noqa: B018


def test_a_run_prints_as_a_table_and_tells_what_was_set(trained):
    assert trained.is_finished and trained.step == 6
    assert 0 <= trained.figures["measures"]["masked_accuracy"] <= 1
    assert "masked accuracy" in repr(trained) and "guessing by" in repr(trained)
    assert "<table>" in trained._repr_html_()
    recipe = (trained.path / "recipe.yaml").read_text()
    assert "rate: 0.4" in recipe and "# --masking.rate" in recipe
    assert trained.report.is_file()


def test_the_command_line_finds_the_same_run(trained, texts):
    words = ["pretrain", str(texts), "--size", "tiny", "--budget", "6steps", "--masking.rate", "0.4"]
    words += ["--training.precision", "fp32", "--out", str(trained.path.parent)]
    assert command(words) == 0
    assert [path.name for path in trained.path.parent.glob("laptop-*")] == [trained.path.name]


def test_a_recipe_made_of_objects_trains_and_says_so(texts, tmp_path):
    made = resolve("laptop", size="tiny", overrides=[("training.budget", "3steps")]).recipe
    made = replace(made, title="Mine", training=replace(made.training, precision="fp32"))
    run = ab.pretrain(texts, recipe=made, out=tmp_path)
    written = (run.path / "recipe.yaml").read_text()
    assert run.is_finished
    assert "# default" not in written and written.count("# code") > 20
    again = resolve(str(RunFolder.open(run.path).recipe))
    assert again.recipe == made
    with pytest.raises(UserError, match="size"):
        ab.pretrain(texts, recipe=made, size="mini", out=tmp_path)


def test_a_loaded_model_fills_in_encodes_and_is_evaluated(trained, texts):
    model = ab.load(trained.path, device="cpu")
    guesses = model.fill("the [MASK] sat on the [MASK]", top=3)
    assert len(guesses) == 2 and len(guesses[0]) == 3
    assert "mask 2" in repr(guesses) and "</td>" in guesses._repr_html_()
    vectors = model.encode(["the cat", "the dog sat"])
    assert vectors.shape == (2, 128) and np.isfinite(vectors).all()
    assert np.allclose(model.encode("the cat")[0], vectors[0], atol=1e-5)  # fp32
    figures = model.evaluate(texts, max_rows=8, length=32)
    assert 0 <= figures["masked_accuracy"] <= 1 and "nats per masked piece" in repr(figures)
    with pytest.raises(UserError, match="does not write texts"):
        model.generate("the")


def test_all_data_of_the_closing_figures_can_be_named(texts, monkeypatch):
    asked = []
    monkeypatch.setattr("afterbert.api.pretraining.carry_out", asked.append)
    ab.pretrain(texts, pairs=["blimp"], probes=["sst2:data"], parallel=["verses.tsv"])
    assert asked[0].closing == Closing(("blimp",), ("sst2:data",), ("verses.tsv",))


def test_a_prepared_store_is_read_by_pretrain(texts, tmp_path):
    store = ab.prepare(texts, tmp_path / "store", vocab_size=400, processes=1)
    assert store.vocabulary.size <= 400
    run = ab.pretrain(
        tmp_path / "store", size="tiny", budget="2steps", out=tmp_path, overrides={"training.precision": "fp32"}
    )
    assert run.is_finished


def test_show_prints_what_is_read_and_asked():
    shown = ab.show("The cat sat on the mat. It was not amused.", recipe="bert-mlm")
    assert "reads" in repr(shown) and "asked" in repr(shown) and "←" in repr(shown)
    with pytest.raises(UserError, match="did you mean 'spanbert'"):
        ab.show("a", recipe="spanbertt")


def test_a_table_tells_strange_text_as_text():
    table = SmallTable("a\x1b<b>", [("x\ny", "<script>")])
    assert "\x1b" not in table.text() and len(table.text().splitlines()) == 2
    assert "<script>" not in table.html() and "&lt;script&gt;" in table.html()


def test_one_rule_for_devices():
    from afterbert.training.devices import default_device

    assert default_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_everything_a_run_wrote_is_in_the_table(trained):
    found = {path.name for path in trained.path.iterdir() if not path.name.startswith(".")}
    assert found <= set(RUN_FILES)
