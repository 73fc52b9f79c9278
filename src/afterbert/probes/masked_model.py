"""A model as something that fills in masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.rows import filled_up
from afterbert.interop.loaded import LoadedModel
from afterbert.models import LanguageModel
from afterbert.text.pieces.tokenizer import Tokenizer


def with_masks(text: str, mask: str) -> str:
    """Returns the text with this in place of a mask, however it is spelled."""
    return text.replace("[MASK]", mask).replace("<mask>", mask)


@dataclass(frozen=True)
class MaskedModel:
    """The view of a model that fills in masks, in evaluation mode."""

    loaded: LoadedModel
    language_model: LanguageModel

    @staticmethod
    def of(loaded: LoadedModel, *, device: torch.device | str = "cpu") -> MaskedModel:
        """Raises UserError for a model that is not asked for masked pieces, and for one without a mask or a head."""
        if not loaded.architecture.is_encoder:
            kind = name_of(loaded.architecture).replace("_", "-")
            raise UserError(
                f"{loaded.name} is of the kind {kind}, which is not asked for masked pieces; "
                + "`afterbert generate` lets it write, " * (loaded.architecture.writes != "nothing")
                + "`afterbert score --pairs` asks which sentences it finds likely"
            )
        if loaded.tokenizer.vocabulary.mask is None:
            raise UserError(f"the tokenizer of {loaded.name} has no mask token; choose a masked language model")
        return MaskedModel(loaded, loaded.language_model(device=device))

    @property
    def tokenizer(self) -> Tokenizer:
        return self.loaded.tokenizer

    def unmasked(self, text: str) -> str:
        """Returns the text without its masks."""
        return with_masks(text, " ").replace(self.tokenizer.settings["mask_token"], " ")

    def fill(self, text: str, *, top: int = 5) -> list[list[tuple[str, float]]]:
        """Returns the likeliest pieces with their probabilities for each mask. Raises UserError if there is no mask."""
        return self.fill_texts([text], top=top)[0]

    def fill_texts(self, texts: Sequence[str], *, top: int = 5) -> list[list[list[tuple[str, float]]]]:
        """Fills the blanks of several texts in one pass, as `fill` does of one."""
        rows = [self._asked(text) for text in texts]
        lengths, vocabulary = [len(row) for row in rows], self.tokenizer.vocabulary
        ids = torch.as_tensor(filled_up(rows, vocabulary.pad or 0))
        is_read = torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]
        is_mask = (ids == vocabulary.mask) & is_read
        asked = {"input_ids": ids, "chosen": is_mask.flatten().nonzero()[:, 0]}
        if not is_read.all():
            asked["visible_lengths"] = torch.tensor(lengths)
        device = next(self.language_model.backbone.parameters()).device
        with torch.inference_mode():
            logits = self.language_model.predict({name: one.to(device) for name, one in asked.items()})
            chances, pieces = logits.float().softmax(-1).topk(min(top, logits.shape[-1]))
        name = self.tokenizer.backend.id_to_token
        guesses = [[(name(p) or "", c) for c, p in zip(*row)] for row in zip(chances.tolist(), pieces.tolist())]
        gaps = iter(guesses)
        return [[next(gaps) for _ in range(count)] for count in is_mask.sum(1).tolist()]

    def _asked(self, text: str) -> list[int]:
        """The pieces of a text. Raises UserError if there are too many, or no mask."""
        mask = self.tokenizer.settings["mask_token"]
        ids = list(self.tokenizer.backend.encode(with_masks(text, mask)).ids)
        if len(ids) > self.loaded.longest:
            raise UserError(
                f"the text has {len(ids)} pieces, the model reads at most {self.loaded.longest}; shorten it"
            )
        if self.tokenizer.vocabulary.mask not in ids:
            raise UserError(f"the text has no mask; write {mask} where a word is missing")
        return ids
