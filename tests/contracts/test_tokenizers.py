"""What every way to get a tokenizer promises."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers._trained import TrainedRecipe
from invented_texts import ALL, RECIPES, tokenizer_called

TRAINED = [
    name for name in plugins.names(TokenizerRecipe) if issubclass(plugins.find(TokenizerRecipe, name), TrainedRecipe)
]
REAL = Path(__file__).parents[3] / "shared" / "data" / "pretrain_en"


def small(name, **settings):
    return plugins.find(TokenizerRecipe, name)(**{"vocab_size": 400, "min_frequency": 1, **settings})


@pytest.mark.parametrize("name", TRAINED)
def test_same_bytes_again(name):
    made = [small(name, sentinels=2).make(ALL * 3, corpus_bytes=1000) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].digest == made[1].digest != tokenizer_called("wordpiece_cased").digest


def test_same_bytes_whatever_the_hash_seed():
    code = (
        "from invented_texts import ALL, RECIPES; import hashlib;"
        "print([hashlib.sha256(r.make(ALL * 3, corpus_bytes=9).file.encode()).hexdigest() for r in RECIPES.values()])"
    )
    folder = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(folder), "TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": "4"}
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(said) == 1


@pytest.mark.parametrize("name", RECIPES)
def test_vocabulary_is_as_asked(name):
    recipe, tokenizer = RECIPES[name], tokenizer_called(name)
    vocabulary = tokenizer.vocabulary
    assert vocabulary.size <= recipe.vocab_size
    assert sorted(tokenizer.backend.get_vocab().values()) == list(range(vocabulary.size))
    for special in ("pad", "unk", "cls", "sep", "mask", "bos", "eos"):
        piece_id = vocabulary.need(special)
        assert piece_id < 5
        assert vocabulary.is_special[piece_id]
        assert tokenizer.backend.id_to_token(piece_id) == tokenizer.settings[f"{special}_token"]
    sentinels = [tokenizer.backend.token_to_id(f"<extra_id_{n}>") for n in range(recipe.sentinels)]
    assert list(vocabulary.sentinels) == sentinels
    assert sentinels == [vocabulary.size - 1 - n for n in range(recipe.sentinels)]
    assert len(vocabulary.special_ids) == 5 + recipe.sentinels


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize(("ends", "wanted"), [("both", "cs"), ("last", "s"), ("none", "")])
def test_ends_of_a_text(name, ends, wanted):
    made = small(name, ends=ends).make(ALL, corpus_bytes=1000)
    vocabulary = made.vocabulary
    ids, inner = made.backend.encode("the miller").ids, made.encode("the miller")
    assert ids == [vocabulary.cls] * ("c" in wanted) + inner + [vocabulary.sep] * ("s" in wanted)
    pair = made.backend.encode("the", "miller").ids
    both = 3 if name == "byte_level_bpe" else 2  # RoBERTa puts two between
    assert pair.count(vocabulary.sep) == {"both": both, "last": 2, "none": 0}[ends]


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_of_400_000_characters_trains_in_time(name):
    run = "".join(map(chr, 97 + np.random.default_rng(0).integers(0, 26, 400_000)))
    begin = time.process_time()
    small(name).make([run, *ALL], corpus_bytes=500_000)
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("sample", [["a"], ["\n"], ["我"], ["the the the"], ["\U0010fffd \ufffe"]])
def test_hardly_any_text_is_enough(name, sample):
    made = small(name).make(sample, corpus_bytes=1)
    assert made.decode(made.encode("a")) in ("a", "")


@pytest.mark.parametrize("name", TRAINED)
def test_settings_go_through_yaml(name):
    recipe = small(name, sentinels=3, ends="last")
    plain = to_plain(recipe)
    assert plain.pop("type") == name
    assert type(recipe)(**plain) == recipe


@pytest.mark.parametrize("name", ["bpe", "bpe_untrimmed"])
def test_byte_level_text_comes_back(name):
    tokenizer = tokenizer_called(name)
    assert [tokenizer.decode(tokenizer.encode(text)) for text in ALL] == list(ALL)


@pytest.mark.parametrize("name", RECIPES)
def test_saved_and_loaded_is_the_same(name, tmp_path):
    tokenizer = tokenizer_called(name).with_settings(model_max_length=77)
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.digest == tokenizer.digest
    assert loaded.vocabulary == tokenizer.vocabulary
    assert loaded.settings["model_max_length"] == 77


@pytest.mark.parametrize("name", RECIPES)
def test_transformers_reads_the_same_ids(name, tmp_path):
    tokenizer = tokenizer_called(name)
    settings = {"model_max_length": 99, "model_input_names": ["input_ids", "attention_mask"]}
    tokenizer.with_settings(**settings).save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path), local_files_only=True)
    texts = list(ALL)
    if REAL.is_dir():
        lines = (REAL / "novels.jsonl").read_text(encoding="utf-8").splitlines()[:3]
        texts += [json.loads(line)["text"][:50_000] for line in lines]
    for text in texts:
        # transformers matches special pieces in a text, as the file says; these texts have none
        assert theirs(text)["input_ids"] == tokenizer.backend.encode(text).ids
        assert theirs(text, add_special_tokens=False)["input_ids"] == tokenizer.encode(text)
    assert set(theirs("a")) == {"input_ids", "attention_mask"}
    assert theirs.model_max_length == 99
    vocabulary = tokenizer.vocabulary
    assert (theirs.mask_token_id, theirs.pad_token_id) == (vocabulary.mask, vocabulary.pad)
    assert (theirs.cls_token_id, theirs.eos_token_id) == (vocabulary.cls, vocabulary.eos)
    assert len(theirs) == vocabulary.size
