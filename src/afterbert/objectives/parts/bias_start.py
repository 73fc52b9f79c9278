"""Where the output bias of a language-model head begins."""

from typing import Literal

import numpy as np
import torch

from afterbert.nn.heads import LMHeadModule
from afterbert.text.token_store.store import Split

#: `zeros` as in the papers; `log_frequencies` of the training text saves the first steps from learning them.
BiasStart = Literal["zeros", "log_frequencies"]


def start_bias(lm_head: LMHeadModule, split: Split, start: BiasStart) -> None:
    """Sets the output bias of a fresh head, where it has one."""
    if start == "log_frequencies" and lm_head.bias is not None:
        lm_head.start_at(torch.from_numpy(_log_frequencies(split, lm_head.num_pieces)))


def _log_frequencies(split: Split, vocab_size: int, *, most: int = 5_000_000) -> np.ndarray:
    """float32 [V]: natural logarithm of the pieces' add-one smoothed shares in the first `most` pieces of the split."""
    counts = np.bincount(split.pieces(np.arange(min(most, split.num_pieces))), minlength=vocab_size)
    return np.log((counts + 1) / (counts.sum() + vocab_size)).astype(np.float32)
