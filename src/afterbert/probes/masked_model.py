"""A model as something that fills in masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.interop.loaded import LoadedModel
from afterbert.models import LanguageModel
from afterbert.text.pieces.tokenizer import Tokenizer


@dataclass(frozen=True)
class MaskedModel:
    """The view of a model that fills in masks, in evaluation mode."""

    loaded: LoadedModel
    language_model: LanguageModel

    @staticmethod
    def of(loaded: LoadedModel, *, device: torch.device | str = "cpu") -> MaskedModel:
        """Raises UserError for a model that is not asked for masked pieces, and for one without a mask or a head."""
        if not loaded.architecture.is_encoder:
            kind = name_of(loaded.architecture).replace("_", " ")
            raise UserError(
                f"{loaded.name} is {kind}, which is not asked for masked pieces; `afterbert generate` lets it write, "
                "`afterbert score --pairs` asks which sentences it finds likely"
            )
        if loaded.tokenizer.vocabulary.mask is None:
            raise UserError(f"the tokenizer of {loaded.name} has no mask token; choose a masked language model")
        return MaskedModel(loaded, loaded.language_model(device=device))

    @property
    def tokenizer(self) -> Tokenizer:
        return self.loaded.tokenizer

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that it has vectors for."""
        return self.loaded.architecture.languages

    def unmasked(self, text: str) -> str:
        """The text without its masks."""
        return self._with_masks(text, " ").replace(self.tokenizer.settings["mask_token"], " ")

    @staticmethod
    def _with_masks(text: str, mask: str) -> str:
        """The text with this in place of a mask, however it is spelled."""
        return text.replace("[MASK]", mask).replace("<mask>", mask)

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Logits [N, V] at the chosen places of a batch."""
        return self.language_model.predict(arrays)

    def fill(self, text: str, *, top: int = 5) -> list[list[tuple[str, float]]]:
        """For each mask in the text, the likeliest pieces with their probabilities. Raises UserError when
        there is no mask."""
        mask = self.tokenizer.settings["mask_token"]
        written = self._with_masks(text, mask)
        ids = list(self.tokenizer.backend.encode(written).ids)
        if len(ids) > self.loaded.longest:
            raise UserError(
                f"the text has {len(ids)} pieces, the model reads at most {self.loaded.longest}; shorten it"
            )
        places = [at for at, piece in enumerate(ids) if piece == self.tokenizer.vocabulary.mask]
        if not places:
            raise UserError(f"the text has no mask; write {mask} where a word is missing")
        with torch.inference_mode():
            device = next(self.language_model.backbone.parameters()).device
            asked = {"input_ids": torch.tensor([ids], device=device), "chosen": torch.tensor(places, device=device)}
            logits = self.predict(asked)
            chances, pieces = logits.float().softmax(-1).topk(top)
        backend = self.tokenizer.backend
        return [
            [(backend.id_to_token(int(piece)) or "", float(chance)) for chance, piece in zip(*row)]
            for row in zip(chances, pieces)
        ]
