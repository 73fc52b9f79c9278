"""A pre-trained model of any kind, read as states of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
import xxhash
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.downstream.posing.writing import writing_states
from afterbert.interop.importing import import_folder
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.nn.places import at_places
from afterbert.nn.visibility import PaddedVisibility
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer

#: Which piece of a row speaks for it.
Summary = Literal["first", "last", "mean"]


@dataclass(frozen=True)
class Model:
    """A model folder in memory. weights: part (`backbone`, `pooler`, `lm_head`) -> state; parts it lacks are
    missing. folder: where its tokenizer's files are."""

    name: str
    architecture: Architecture
    tokenizer: Tokenizer
    weights: Mapping[str, Mapping[str, Tensor]]
    folder: Path
    notes: tuple[str, ...] = ()

    @staticmethod
    def load(name: str | Path) -> Model:
        """From a run folder (its `model/`), a Hugging Face folder, or a hub name. Raises UserError."""
        path = Path(name)
        if (path / "model" / "config.json").is_file():
            path = path / "model"
        elif (path / "checkpoints").is_dir():
            raise UserError(
                f"{name} is a run that has not finished; go on with "
                f"`afterbert pretrain --resume {name}`, or `afterbert export {name} OUT` its newest checkpoint"
            )
        imported = import_folder(path if path.exists() else name)
        if imported.tokenizer is None:
            raise UserError(f"{name} has no tokenizer.json, so texts cannot be cut into its pieces; add it")
        tokenizer = PretrainedTokenizer(name=str(imported.tokenizer)).make([], corpus_bytes=0)
        parts = {"backbone": imported.backbone, "pooler": imported.pooler, "lm_head": imported.lm_head}
        weights = {part: state for part, state in parts.items() if state is not None}
        # The head that only pre-training needs is no news to who fine-tunes.
        notes = tuple(note for note in imported.notes if "language-model head" not in note)
        return Model(str(name), imported.architecture, tokenizer, weights, imported.tokenizer, notes)

    def from_scratch(self) -> Model:
        """The same architecture and tokenizer without any weights."""
        return replace(self, name=f"{self.name} (random weights)", weights={})

    @cached_property
    def digests(self) -> dict[str, str]:
        """Part -> a name for its weights, so that another model at the same place is another one."""
        return {part: _digest(state) for part, state in sorted(self.weights.items())}

    @property
    def longest(self) -> int:
        """Pieces a row may have."""
        return self.architecture.max_position_embeddings

    @property
    def has_segments(self) -> bool:
        """Whether it tells the first text of a pair from the second."""
        embeddings = getattr(self.architecture, "embeddings", None)
        return isinstance(self.architecture, Permutation) or getattr(embeddings, "type_vocab_size", 0) > 1

    def build(self) -> nn.Module:
        """The backbone with its weights, or freshly drawn ones."""
        backbone = self.architecture.build(
            Vocabulary(size=self.architecture.vocab_size or self.tokenizer.vocabulary.size)
        )
        if "backbone" in self.weights:
            backbone.load_state_dict(self.weights["backbone"])
        return backbone

    def lm_head_on(self, backbone: nn.Module) -> nn.Module:
        """The language model's head on this backbone's table, with its weights, or freshly drawn ones."""
        lm_head = self.architecture.build_lm_head(backbone)
        if "lm_head" in self.weights:
            lm_head.load_state_dict(self.weights["lm_head"])
        return lm_head


def _digest(state: Mapping[str, Tensor]) -> str:
    found = xxhash.xxh3_128()
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def summary_of(architecture: Architecture) -> Summary:
    """The piece that has seen the whole row: the first where all see all, else the last (GPT, BART,
    XLNet)."""
    return "last" if isinstance(architecture, (Decoder, EncoderDecoder, Permutation)) else "first"


def states(
    backbone: nn.Module,
    architecture: Architecture,
    arrays: Mapping[str, Tensor],
    *,
    wanted: Tensor | None = None,
) -> Tensor:
    """Hidden states [B, T, D] of a batch. An encoder-decoder reads the same text on both sides, and the
    decoder's states count (BART, Section 3.3); where a text is to be written, they are the states [B, U, D] of
    that. wanted: flat places [N], where no more than their states [N, D] is to be computed."""
    if "decoder_input_ids" in arrays:
        return writing_states(backbone, arrays)
    inputs = {"token_type_ids": arrays.get("token_type_ids"), "visibility": PaddedVisibility.of(arrays)}
    ids = arrays["input_ids"]
    if isinstance(architecture, EncoderDecoder):
        return at_places(backbone(ids, ids, **inputs), wanted)
    if isinstance(architecture, Permutation):
        return at_places(backbone(ids, **inputs).content, wanted)
    if isinstance(architecture, Decoder):
        return backbone(ids, token_type_ids=inputs["token_type_ids"], wanted=wanted)
    return backbone(ids, **inputs, wanted=wanted)


def summary_places(arrays: Mapping[str, Tensor], summary: Summary) -> Tensor | None:
    """The flat places [B] of the pieces that speak for their rows; None where all do."""
    if summary == "mean":
        return None
    ids = arrays["input_ids"]
    starts = torch.arange(len(ids), device=ids.device) * ids.shape[1]
    return starts if summary == "first" else starts + arrays["last"]


def summarized(hidden: Tensor, arrays: Mapping[str, Tensor], summary: Summary) -> Tensor:
    """One vector a row [B, D] from hidden states: those at `summary_places` [B, D], for "mean" all [B, T, D]."""
    if summary != "mean":
        return hidden
    last = arrays["last"]
    is_piece = torch.arange(hidden.shape[1], device=last.device) <= last[:, None]
    return (hidden * is_piece[..., None]).sum(1) / is_piece.sum(1, keepdim=True)
