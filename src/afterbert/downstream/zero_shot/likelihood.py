"""How likely a model finds a text behind another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.nn.inputs import Inputs
from afterbert.nn.visibility import PaddedVisibility

_PIECES_AT_ONCE = 8_192


def log_chances(generator: TextGenerator, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """float64 [N], natural logarithm: of each second text behind its first one, summed over its pieces.

    Both are cut into pieces apart, so put the space between them at the beginning of the second. What is too long
    loses the beginning of the first. An encoder-decoder reads the first with a mark behind it and writes the second:
    behind its sentinel (T5), or behind the first text, which it writes too (BART). The same pair is asked once.
    """
    asked = sorted(set(pairs))
    rows = [_row(generator, prompt, text) for prompt, text in asked]
    found = np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][1]))
    while order:
        width = len(rows[order[-1]][1]) + len(rows[order[-1]][0])
        size = max(1, _PIECES_AT_ONCE // max(1, width))
        some, order = order[-size:], order[:-size]
        found[some] = _summed(generator, [rows[i] for i in some])
    place = {pair: i for i, pair in enumerate(asked)}
    return found[[place[pair] for pair in pairs]]


def _row(generator: TextGenerator, prompt: str, text: str) -> tuple[list[int], list[int], int]:
    """What is read, what is written (its first piece given), and how many of the last pieces are asked."""
    tokenizer = generator.model.tokenizer
    known, ids, room = tokenizer.vocabulary, tokenizer.encode(text), generator.model.longest
    if not ids:
        raise UserError("an answer has no pieces; name answers with letters or digits")
    if not generator.reads_apart:
        return [], [*generator.prompt_ids(prompt), *ids][-room:], min(len(ids), room - 1)
    start = known.need(generator.model.architecture.writing_start(known))
    if not known.sentinels and known.mask is None:
        return generator.prompt_ids(prompt)[-room:], [start, *ids][:room], min(len(ids), room - 1)
    read = generator.prompt_ids(f"{prompt} [MASK]")[-room:]
    if known.sentinels:
        return read, [start, known.sentinels[0], *ids][:room], min(len(ids), room - 2)
    before = list(tokenizer.plain.encode(prompt).ids)
    before = before[:-1] if before and before[-1] in known.special_ids else before
    return read, [start, *[*before, *ids][-room + 1 :]], min(len(ids), room - 2)


def _summed(generator: TextGenerator, rows: Sequence[tuple[list[int], list[int], int]]) -> np.ndarray:
    device = next(generator.backbone.parameters()).device
    pad = generator.model.tokenizer.vocabulary.pad or 0
    written = _filled([row[1] for row in rows], pad, device)
    with torch.inference_mode():
        if generator.reads_apart:
            read = _filled([row[0] for row in rows], pad, device)
            lengths = torch.tensor([len(row[0]) for row in rows], device=device)
            inputs = Inputs(read, visibility=PaddedVisibility(lengths=lengths))
            hidden = generator.backbone.states(inputs, decoder_input_ids=written)
        else:
            hidden = generator.backbone(written)
        ends = torch.tensor([len(row[1]) for row in rows], device=device)[:, None]
        asked = torch.tensor([row[2] for row in rows], device=device)[:, None]
        place = torch.arange(1, written.shape[1], device=device)
        is_asked = (place >= ends - asked) & (place < ends)
        logits = generator.lm_head(hidden[:, :-1][is_asked]).float().log_softmax(-1)
        chosen = logits.gather(1, written[:, 1:][is_asked][:, None])[:, 0].double()
        row_of = torch.nonzero(is_asked)[:, 0]
        return (
            torch.zeros(len(rows), dtype=torch.double, device=device)
            .index_add(0, row_of, chosen)
            .cpu()
            .numpy()
        )


def _filled(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> Tensor:
    found = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
    for line, row in zip(found, rows):
        line[: len(row)] = row
    return torch.as_tensor(found, device=device)
