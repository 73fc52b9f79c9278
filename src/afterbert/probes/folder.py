"""A finished model folder, ours or anyone's, as something that fills in masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.interop.importing import import_folder
from afterbert.models.encoder import Encoder
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.heads import LMHeadModule
from afterbert.nn.visibility import PaddedVisibility
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer


@dataclass(frozen=True)
class MaskedModel:
    """A masked language model with its tokenizer, in evaluation mode. notes: what the user should know of
    the folder; languages: those it has vectors for."""

    backbone: nn.Module
    lm_head: LMHeadModule
    tokenizer: Tokenizer
    max_length: int
    notes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    @staticmethod
    def load(folder: str | Path) -> MaskedModel:
        """From a Hugging Face folder, a run folder (its `model/`), or a hub name. Raises UserError."""
        path = Path(folder)
        if (path / "model" / "config.json").is_file():
            path = path / "model"
        elif (path / "checkpoints").is_dir():
            raise UserError(
                f"{folder} is a run that has not finished; go on with `afterbert pretrain --resume {folder}`"
            )
        imported = import_folder(path if path.exists() else folder)
        if not isinstance(imported.architecture, Encoder):
            kind = name_of(imported.architecture).replace("_", " ")
            raise UserError(
                f"{folder} is {kind}, which is not asked for masked pieces; `afterbert generate` lets it write, "
                "`afterbert score --pairs` asks which sentences it finds likely"
            )
        if imported.tokenizer is None:
            raise UserError(f"{folder} has no tokenizer.json, so texts cannot be cut into its pieces; add it")
        tokenizer = PretrainedTokenizer(name=str(imported.tokenizer)).make([], corpus_bytes=0)
        if tokenizer.vocabulary.mask is None:
            raise UserError(f"the tokenizer of {folder} has no mask token; choose a masked language model")
        backbone, lm_head = imported.build()
        longest = imported.architecture.max_position_embeddings
        languages = getattr(imported.architecture, "embeddings", Embeddings()).languages
        return MaskedModel(
            backbone.eval(), lm_head.eval(), tokenizer, longest, imported.notes, languages=languages
        )

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Logits [N, V] at the chosen places of a batch."""
        said = {"language_ids": arrays["language_ids"]} if "language_ids" in arrays else {}
        hidden = self.backbone(arrays["input_ids"], visibility=PaddedVisibility.of(arrays), **said)
        return self.lm_head(hidden.flatten(0, 1)[arrays["chosen"]])

    def fill(self, text: str, *, top: int = 5) -> list[list[tuple[str, float]]]:
        """For each mask in the text, the likeliest pieces with their probabilities. Raises UserError when
        there is no mask."""
        mask = self.tokenizer.settings["mask_token"]
        written = text
        for other in ("[MASK]", "<mask>"):
            written = written.replace(other, mask)
        ids = list(self.tokenizer.backend.encode(written).ids)
        if len(ids) > self.max_length:
            raise UserError(
                f"the text has {len(ids)} pieces, the model reads at most {self.max_length}; shorten it"
            )
        places = [at for at, piece in enumerate(ids) if piece == self.tokenizer.vocabulary.mask]
        if not places:
            raise UserError(f"the text has no mask; write {mask} where a word is missing")
        with torch.inference_mode():
            logits = self.predict({"input_ids": torch.tensor([ids]), "chosen": torch.tensor(places)})
            chances, pieces = logits.float().softmax(-1).topk(top)
        backend = self.tokenizer.backend
        return [
            [(backend.id_to_token(int(piece)) or "", float(chance)) for chance, piece in zip(*row)]
            for row in zip(chances, pieces)
        ]
