"""A discriminator's folder: transformers opens it and the generator inside it; masks are asked of the generator, or of
nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import ElectraForMaskedLM, ElectraForPreTraining

from afterbert.base.errors import UserError
from afterbert.interop.folder import export_beside, export_folder
from afterbert.interop.loading import load_model
from afterbert.models.encoder import Encoder
from afterbert.objectives.replaced_tokens import Generator, ReplacedTokens
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.task import Pretext
from afterbert.probes.masked_model import MaskedModel
from afterbert.text.tokenizers.wordpiece import WordPiece

TEXT = "the old sailor paints a small boat and sells it near the river"
TASK = Pretext(Packed(), (Edit(FixedCount(), Mask()),), (InPlace(),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("discriminator")
    tokenizer = WordPiece(vocab_size=90, min_frequency=1, lowercase=True).make([TEXT] * 9, corpus_bytes=900)
    tokenizer.save(folder / "tokenizer")
    architecture = Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48)
    torch.manual_seed(0)
    module = ReplacedTokens(TASK, generator=Generator(size=0.5)).build(architecture, tokenizer.vocabulary).eval()
    family = export_folder(
        folder / "model",
        architecture,
        module.backbone,
        module.saved_heads,
        vocabulary=tokenizer.vocabulary,
        tokenizer=folder / "tokenizer",
    )
    for name, model in module.beside().items():
        export_beside(folder / "model" / name, model, tokenizer.vocabulary, folder / "tokenizer", like=family)
    return folder / "model"


def test_transformers_opens_both(folder: Path) -> None:
    for kind, place in ((ElectraForPreTraining, folder), (ElectraForMaskedLM, folder / "generator")):
        model, told = kind.from_pretrained(place, output_loading_info=True)
        assert not told["missing_keys"] and not told["unexpected_keys"]
        assert model.config.architectures == [kind.__name__]


def test_masks_are_asked_of_the_generator(folder: Path) -> None:
    masked = MaskedModel.of(load_model(folder))
    assert masked.language_model.said == "the generator"
    theirs = ElectraForMaskedLM.from_pretrained(folder / "generator").eval()
    ids = torch.tensor([masked.tokenizer.plain.encode("the old [MASK] sells it").ids])
    with torch.inference_mode():
        ours = masked.language_model.predict({"input_ids": ids, "chosen": torch.arange(ids.shape[1])})
        expected = theirs(input_ids=ids).logits[0]
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_a_discriminator_alone_answers_nothing(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "alone", ignore=shutil.ignore_patterns("generator"))
    with pytest.raises(UserError, match="no language-model head"):
        MaskedModel.of(load_model(tmp_path / "alone"))
