"""Folders that are broken, huge or mean: refused in one line, before anything is allocated or run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.base.vocabulary import Vocabulary
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.interop.checkpoint import convert_checkpoint, load_pickled
from afterbert.interop.folder import export_folder
from afterbert.interop.hub import locate
from afterbert.interop.importing import import_folder
from afterbert.interop.untrusted_files import read_config
from afterbert.models.encoder import Encoder
from afterbert.report.run_record import read_run
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer

VOCABULARY = Vocabulary(size=11, pad=0, cls=2, sep=3)
ARCHITECTURE = Encoder(hidden_size=8, num_hidden_layers=1, intermediate_size=8, max_position_embeddings=6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    backbone = ARCHITECTURE.build(VOCABULARY)
    export_folder(
        tmp_path / "model",
        ARCHITECTURE,
        backbone,
        {"lm_head": ARCHITECTURE.build_lm_head(backbone)},
        vocabulary=VOCABULARY,
    )
    return tmp_path / "model"


def change(folder: Path, **values: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))
    return folder


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hidden_size": {}}, "hidden_size {}; must be a whole number"),
        ({"num_hidden_layers": 10**9}, "has num_hidden_layers 1000000000; must be a whole number from 1 to 512"),
        ({"hidden_size": -8}, "has hidden_size -8; must be"),
        ({"hidden_size": 8.0}, "has hidden_size 8.0; must be"),
        ({"vocab_size": True}, "has vocab_size True; must be"),
        ({"vocab_size": 10**12}, "must be a whole number from 1 to 8,388,608"),
        ({"max_position_embeddings": 0}, "has max_position_embeddings 0; must be"),
        ({"type_vocab_size": -1}, "has type_vocab_size -1; must be"),
        ({"hidden_dropout_prob": 1.5}, "has hidden_dropout_prob 1.5; must be"),
        ({"layer_norm_eps": -1.0}, "has layer_norm_eps -1.0; must be"),
        ({"hidden_act": ["gelu"]}, "must be a word"),
        ({"hidden_act": "os.system"}, "has hidden_act 'os.system', which is not known here"),
        ({"model_type": "llama"}, "has model_type 'llama'; families that can be read: "),
        ({"model_type": "../bert"}, "has model_type '../bert'; families"),
        ({"pad_token_id": 11}, "has pad_token_id 11, outside its vocabulary of 11 pieces"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type relative_key; only absolute"),
        ({"is_decoder": True}, "has is_decoder true; only false"),
        ({"tie_word_embeddings": False}, "has tie_word_embeddings false; only true"),
        ({"quantization_config": {"bits": 4}}, "quantized weights cannot be read"),
        ({"num_attention_heads": 3}, "hidden_size 8 does not divide into 3"),
        ({"hidden_size": 16}, "of shape 11 x 8, but its config.json promises 11 x 16"),
        ({"vocab_size": 12}, "of shape 11 x 8, but its config.json promises 12 x 8"),
        ({"intermediate_size": 9}, "of shape 8 x 8, but its config.json promises"),
        ({"num_hidden_layers": 2}, "lacks the weight bert.encoder.layer.1."),
    ],
)
def test_configs_that_promise_the_impossible(folder: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refusal:
        import_folder(change(folder, **values))
    assert len(refusal.value.lines) == 1 and said in str(refusal.value)


@pytest.mark.parametrize("values", [{"layer_types": "full"}, {"layer_types": [1]}, {"rope_parameters": [1]}])
def test_values_of_the_wrong_kind(folder: Path, values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="must be"):
        import_folder(change(folder, model_type="modernbert", **values))


def test_keys_that_choose_code_are_dropped(folder: Path) -> None:
    change(
        folder,
        auto_map={"AutoModel": "evil.Evil"},
        _attn_implementation="owner/kernel",
        attn_implementation="x",
        kernel_config={"a": 1},
        _name_or_path="x",
    )
    assert not {
        key for key in read_config(folder) if "map" in key or "attn_impl" in key or "kernel" in key or "_name" in key
    }
    import_folder(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "is nested too deep"),
        ("{", "is not JSON"),
        ('{"hidden_size": NaN}', "NaN is no number"),
        ("[]", "must be a JSON object"),
        (" " * (1 << 20) + "{}", "more than the 1,048,576 that are read"),
    ],
)
def test_config_files_that_are_none(folder: Path, text: str, said: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json") as refusal:
        import_folder(folder)
    assert said in str(refusal.value)


def test_tensor_files_that_are_cut_or_missing(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for broken in (whole[:-1], whole[:100], b"", b"\xff" * 64):
        weights.write_bytes(broken)
        with pytest.raises(UserError, match=r"model.safetensors is no whole safetensors file"):
            import_folder(folder)
    weights.unlink()
    with pytest.raises(UserError, match=r"holds no model.safetensors"):
        import_folder(folder)


def test_a_flipped_bit_is_found_by_our_digests(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = bytearray(weights.read_bytes())
    for place in (-1, -400, -2000):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        weights.write_bytes(flipped)
        with pytest.raises(UserError, match="its bytes are not those that were written") as refusal:
            import_folder(folder)
        assert len(refusal.value.lines) == 1


def test_foreign_weights_that_are_no_numbers(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.encoder.layer.0.output.dense.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"output\.dense\.weight with values that are no numbers"):
        import_folder(folder)


def test_quantized_tensors_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.embeddings.word_embeddings.weight"] = torch.zeros(11, 8, dtype=torch.int8)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match="as I8; only unquantized floats"):
        import_folder(folder)


class Evil:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_by_name_and_never_run(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    pickled, created = folder / "pytorch_model.bin", tmp_path / "created"
    pickled.write_bytes(pickle.dumps(Evil(created)))
    with pytest.raises(UserError, match="afterbert import-checkpoint"):
        import_folder(folder)
    with pytest.raises(UserError, match="refused by PyTorch's weights-only loader"):
        load_pickled(pickled)
    torch.save({"weight": Evil(created)}, pickled)
    with pytest.raises(UserError, match="refused by PyTorch's weights-only loader"):
        load_pickled(pickled)
    assert not created.exists()


def test_a_pickled_model_is_converted_beside_what_is_not_ours(folder: Path, tmp_path: Path) -> None:
    expected = import_folder(folder).weights["backbone"]
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.embeddings.position_ids"] = torch.arange(6)[None]
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    convert_checkpoint(folder / "pytorch_model.bin", tmp_path / "new")
    converted = import_folder(tmp_path / "new").weights["backbone"]
    assert all(torch.equal(converted[name], tensor) for name, tensor in expected.items())
    with pytest.raises(UserError, match="holds what afterbert did not make"):
        convert_checkpoint(folder / "pytorch_model.bin", folder)


def test_a_plain_pickle_is_read_within_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"state_dict": {"weight": torch.ones(2)}}, path)
    assert load_pickled(path)["weight"].tolist() == [1, 1]
    with pytest.raises(UserError, match="a checkpoint of 1 to 10 bytes"):
        load_pickled(path, max_bytes=10)
    torch.save({"weight": torch.ones(2), "step": 3}, path)
    with pytest.raises(UserError, match="more than named tensors"):
        load_pickled(path)


def test_shards_are_read_through_their_index(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    placed = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(names)}
    for file in set(placed.values()):
        save_file({name: tensors[name] for name in names if placed[name] == file}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    backbone, _ = import_folder(folder).build()
    assert torch.equal(backbone.embeddings.token.weight, tensors["bert.embeddings.word_embeddings.weight"])

    index.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(UserError, match="which is no tensor file beside it"):
        import_folder(folder)
    index.write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(UserError, match=r"gone.safetensors, which is missing"):
        import_folder(folder)


@pytest.mark.parametrize(
    ("tokenizer", "said"),
    [
        ({"model": {"vocab": {str(n): n for n in range(12)}}}, "has 12 pieces, but the model's table only 11"),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 40}]}, "has 41 pieces"),
        ({"model": {"vocab": [["a", 0.0]] * 15}}, "has 15 pieces"),
        ({"model": {"vocab": {"a": "0"}}}, "no whole number from 0"),
        ({"model": 3}, "lists no pieces"),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": True}, "no list of objects under added_tokens"),
    ],
)
def test_a_tokenizer_of_another_model(folder: Path, tokenizer: dict[str, Any], said: str) -> None:
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(UserError, match=r"tokenizer\.json") as refusal:
        import_folder(folder)
    assert said in str(refusal.value)


def test_rows_without_a_piece_and_tensors_without_a_place_are_told(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"classifier.weight": torch.zeros(2, 8)}, folder / "model.safetensors")
    assert import_folder(folder).notes == (
        "1 tensors have no place here and were left out: classifier.weight",
        "the table has 10 rows that no piece of the tokenizer uses",
    )


def test_half_precision_and_old_names_are_read(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor.bfloat16()
        for name, tensor in tensors.items()
    }
    save_file(old, folder / "model.safetensors")
    imported = import_folder(folder)
    assert imported.notes == () and "lm_head" in imported.weights
    expected = tensors["bert.embeddings.LayerNorm.weight"].bfloat16().float()
    assert torch.equal(imported.weights["backbone"]["embeddings.norm.weight"], expected)


@pytest.mark.parametrize("asked", ["runs/laptop-tiny-1a2b3c4e", "laptop-tiny-1a2b3c4d", "run/laptop-tiny-1a2b3c4d"])
def test_a_wrong_path_names_the_nearest_run(asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("runs/laptop-tiny-1a2b3c4d", "runs/gpt2-mini-00000000"):
        Path(name, "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"did you mean runs/laptop-tiny-1a2b3c4d\?") as refusal:
        locate(asked)
    assert "hub" not in str(refusal.value)
    for refused in (RunFolder.open, read_run, load_finetuned, lambda path: PretrainedTokenizer(str(path)).make()):
        with pytest.raises(UserError, match=r"^(tokenizer: )?there is no folder .*; did you mean runs/laptop"):
            refused(Path(asked))


def test_names_that_are_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        locate(tmp_path / "gone")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match="there is no folder someone/nothing here, and no model of that name could be fetched"
    ) as refusal:
        locate("someone/nothing")
    assert len(str(refusal.value).splitlines()) == 1
