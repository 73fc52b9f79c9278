"""A folder as a language model that is asked which pieces it expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.interop.importing import import_folder
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoderModule
from afterbert.models.permutation import PermutationModule
from afterbert.nn.visibility import PaddedVisibility
from afterbert.probes.readings import Reading, reading_of
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer


@dataclass(frozen=True)
class Reader:
    """A language model of any kind, in evaluation mode, with the reading that fits it. notes: what the user should
    know of the folder."""

    architecture: Architecture
    backbone: nn.Module
    lm_head: nn.Module
    tokenizer: Tokenizer
    reading: Reading
    notes: tuple[str, ...] = ()

    @staticmethod
    def load(name: str | Path, *, device: torch.device | str = "cpu") -> Reader:
        """From a run folder (its `model/`), a Hugging Face folder, or a hub name. Raises UserError where it
        has no language-model head."""
        path = Path(name)
        if (path / "model" / "config.json").is_file():
            path = path / "model"
        elif (path / "checkpoints").is_dir():
            raise UserError(
                f"{name} is a run that has not finished; go on with `afterbert pretrain --resume {name}`"
            )
        imported = import_folder(path if path.exists() else name)
        # A head that is nothing but the table of pieces (GPT-2's) is never missing.
        size = imported.architecture.vocab_size or 0
        if imported.lm_head is None and imported.architecture.num_lm_head_parameters(size):
            raise UserError(
                f"{name} has no language-model head, so it cannot say how likely a sentence is; choose one that has"
            )
        if imported.tokenizer is None:
            raise UserError(f"{name} has no tokenizer.json, so texts cannot be cut into its pieces; add it")
        backbone, lm_head = imported.build()
        return Reader(
            imported.architecture,
            backbone.to(device).eval(),
            lm_head.to(device).eval(),
            PretrainedTokenizer(name=str(imported.tokenizer)).make([], corpus_bytes=0),
            reading_of(imported.architecture),
            imported.notes,
        )

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Logits [N, V] at the chosen places of a batch."""
        return predict(
            self.backbone, self.lm_head, arrays, reads_left_to_right=isinstance(self.architecture, Decoder)
        )


def predict(
    backbone: nn.Module, lm_head: nn.Module, arrays: Mapping[str, Tensor], *, reads_left_to_right: bool
) -> Tensor:
    """Logits [N, V] at the chosen places of a batch of any kind of model."""
    ids, rule = arrays["input_ids"], PaddedVisibility.of(arrays)
    if isinstance(backbone, EncoderDecoderModule):
        hidden = backbone(ids, arrays["decoder_input_ids"], visibility=rule)
    elif isinstance(backbone, PermutationModule):
        hidden = backbone(ids, visibility=rule, query_positions=arrays["query_positions"]).query
    else:
        hidden = backbone(ids, visibility=None if reads_left_to_right else rule)
    return lm_head(hidden.flatten(0, 1)[arrays["chosen"]])
