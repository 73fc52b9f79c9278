"""A language model that writes: a decoder goes on where a prompt ends, an encoder-decoder answers what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.rows import filled_up
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.posing.writing import Writer, end_of
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Backbone

#: Called after each piece with the texts so far.
Told = Callable[[Sequence[str]], None]

_GREEDY = Generation()


@dataclass(frozen=True)
class TextGenerator:
    """The view of a model that writes, in evaluation mode."""

    model: LoadedModel
    backbone: Backbone
    lm_head: nn.Module
    begin: int | None
    """The piece before a decoder's prompt, so that its first word is a continuation too; None if the tokenizer has no
    such piece."""
    end: int
    """The piece that closes a text; -1 where the tokenizer has none."""

    @staticmethod
    def of(model: LoadedModel, *, device: torch.device | str = "cpu") -> TextGenerator:
        """Returns a generator for a model, even of random weights. Raises UserError if the model cannot write."""
        if model.architecture.writes == "nothing":
            raise UserError(
                f"{model.name} is {name_of(model.architecture).replace('_', ' ')}, which does not write texts; "
                + "`afterbert fill` asks it for masked words, or " * model.architecture.is_encoder
                + "choose a decoder or an encoder-decoder"
            )
        named = model.language_model(device=device)
        known = model.tokenizer.vocabulary
        has_end = known.eos is not None or known.sep is not None
        return TextGenerator(model, named.backbone, named.lm_head, known.beginning, end_of(known) if has_end else -1)

    @property
    def reads_apart(self) -> bool:
        """Whether what is read and what is written are two texts."""
        return self.model.architecture.writes == "apart"

    def prompt_ids(self, prompt: str) -> list[int]:
        """Cuts a prompt into the pieces that are read. For an encoder-decoder masks and sentinels in it are
        special pieces; `[MASK]` and `<mask>` are the model's own mask, or its next sentinel."""
        tokenizer = self.model.tokenizer
        if not self.reads_apart:
            return [*([] if self.begin is None else [self.begin]), *tokenizer.encode(prompt)]
        return list(tokenizer.backend.encode(self._with_own_marks(prompt)).ids)

    def _with_own_marks(self, prompt: str) -> str:
        known, backend = self.model.tokenizer.vocabulary, self.model.tokenizer.backend
        parts = prompt.replace("<mask>", "[MASK]").split("[MASK]")
        count = len(parts) - 1
        if not known.sentinels and known.mask is None:
            return prompt
        marks = known.sentinels or (known.mask or 0,) * count
        if count > len(marks):
            raise UserError(f"the text has {count} masks, but the model only {len(marks)} sentinels; use fewer")
        own = [*(backend.id_to_token(mark) or "" for mark in marks[:count]), ""]
        return "".join(part + mark for part, mark in zip(parts, own))

    def write(
        self,
        prompts: Sequence[str],
        generation: Generation = _GREEDY,
        *,
        longest: int = 64,
        stop: Sequence[str] = (),
        cuts_prompts: bool = False,
        told: Told | None = None,
    ) -> list[str]:
        """Writes a text for each prompt, without the prompt, and cut before the first of `stop`.

        longest: pieces at most. cuts_prompts: what is too long loses its beginning. The same prompt at the same place
        of the list gets the same text, whatever stands beside it. Raises UserError for a prompt that is too long.
        """
        rows = [self._fitted(self.prompt_ids(prompt), longest, cuts_prompts) for prompt in prompts]
        arrays, start = self._arrays(rows)
        with torch.inference_mode():
            found = generation(
                Writer(self.backbone, self.lm_head, arrays),
                torch.arange(len(rows), device=start.device),
                start=start,
                end=self.end,
                longest=longest,
                watch=self._watch(stop, told) if stop or told else None,
            )
        return [_cut(self.text(row), stop) for row in found.cpu().numpy()]

    def text(self, piece_ids: np.ndarray) -> str:
        """Decodes what was written; -1 is nothing. Sentinels are shown, since they say which gap comes next."""
        known, backend = self.model.tokenizer.vocabulary, self.model.tokenizer.backend
        hidden = set(known.special_ids) - set(known.sentinels) | {-1}
        return str(backend.decode([int(i) for i in piece_ids if int(i) not in hidden], skip_special_tokens=False))

    def _fitted(self, ids: list[int], longest: int, cuts: bool) -> list[int]:
        room = self.model.longest - (0 if self.reads_apart else longest)
        if room < 1:
            raise UserError(
                f"{longest} pieces are to be written, but {self.model.name} reads and writes {self.model.longest} "
                "at most; write fewer"
            )
        if len(ids) > room and not cuts:
            raise UserError(
                f"the prompt has {len(ids)} pieces, but there is room for {room} beside the {longest} that are to be "
                "written; shorten it, or write fewer"
            )
        return ids[-room:]

    def _arrays(self, rows: Sequence[Sequence[int]]) -> tuple[dict[str, Tensor], Tensor]:
        """The batch to read, and the piece with which each row's writing begins: of a decoder the prompt's last."""
        known = self.model.tokenizer.vocabulary
        device = next(self.backbone.parameters()).device
        if self.reads_apart:
            begins = [known.need(self.model.architecture.writing_start(known))] * len(rows)
        else:
            if not all(rows):
                raise UserError("the prompt is empty, and the tokenizer has no piece to begin with; write a word")
            begins = [row[-1] for row in rows]
            rows = [row[:-1] for row in rows]
        lengths = torch.tensor([len(row) for row in rows], device=device)
        ids = torch.as_tensor(filled_up(rows, known.pad or 0), device=device)
        arrays = {"input_ids": ids, "last": lengths - 1}
        if self.reads_apart:
            arrays["visible_lengths"] = lengths
        return arrays, torch.tensor(begins, device=device)

    def _watch(self, stop: Sequence[str], told: Told | None) -> Callable[[Tensor], Tensor | None]:
        def watch(written: Tensor) -> Tensor | None:
            texts = [self.text(row) for row in written.cpu().numpy()]
            if told is not None:
                told([_cut(text, stop) for text in texts])
            ended = [any(word in text for word in stop) for text in texts]
            return torch.tensor(ended, device=written.device) if any(ended) else None

        return watch


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of these words.

    >>> _cut("one. two\\nthree", ["\\n", "."])
    'one'
    """
    return text[: min((text.index(word) for word in stop if word in text), default=len(text))]
