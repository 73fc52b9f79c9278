"""How likely a model finds a text behind another."""

from collections.abc import Sequence

import numpy as np

from afterbert.base.errors import UserError
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.interop.likelihood import Question, log_likelihoods
from afterbert.models import LanguageModel

_PIECES_AT_ONCE = 8_192


def log_chances(generator: TextGenerator, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Returns log probabilities, float64 [N], natural logarithm: of each second text after its first one, summed over
    its pieces.

    Both are cut into pieces apart, so put the space between them at the beginning of the second. What is too long
    loses the beginning of the first. An encoder-decoder reads the first with a mark behind it and writes the second:
    behind its sentinel (T5), or behind the first text, which it writes too (BART). The same pair is asked once.
    """
    asked = sorted(set(pairs))
    found = log_likelihoods(
        LanguageModel(generator.model.architecture, generator.backbone, generator.lm_head).predict,
        [_question(generator, prompt, text) for prompt, text in asked],
        pad=generator.model.tokenizer.vocabulary.pad or 0,
        pieces_at_once=_PIECES_AT_ONCE,
        device=next(generator.backbone.parameters()).device,
    )
    place = {pair: i for i, pair in enumerate(asked)}
    return found[[place[pair] for pair in pairs]]


def _question(generator: TextGenerator, prompt: str, text: str) -> Question:
    """One row: a decoder reads prompt and text, an encoder-decoder reads the one and writes the other."""
    read, written, num_asked = _row(generator, prompt, text)
    pieces = np.array(written, dtype=np.int64)
    made = (
        Question(rows=[np.array(read, dtype=np.int64)], written=[pieces[:-1]])
        if generator.reads_apart
        else Question(rows=[pieces[:-1]])
    )
    first = max(1, len(written) - num_asked)
    made.ask(range(first - 1, len(written) - 1), written[first:])
    return made


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
