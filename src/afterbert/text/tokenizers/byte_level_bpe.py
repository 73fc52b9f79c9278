"""Byte-level byte-pair encoding as in GPT-2 and RoBERTa: pieces of bytes, so no text is ever unknown; the space belongs
to the word after it.

Source: Radford et al. 2019, Section 2.2 (and its pattern for words); Liu et al. 2019 (1907.11692) Section 4.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from afterbert.text.tokenizers._trained import TrainedRecipe, without_long_runs


@dataclass(frozen=True)
class ByteLevelBPE(TrainedRecipe):
    """Byte-pair encoding over bytes.

    >>> made = ByteLevelBPE(vocab_size=300, min_frequency=1).make(["low lower lowest"] * 9, corpus_bytes=150)
    >>> made.plain.encode("low lowest", add_special_tokens=False).tokens
    ['low', 'Ġlowest']
    """

    add_prefix_space: bool = False
    """Whether the first word of a text is cut like any other."""
    trim_offsets: bool = True
    """Whether the place of a piece in the text is told without its space. With ends: both, pairs are joined as RoBERTa
    does (`<s> A </s></s> B </s>`)."""

    specials: ClassVar[dict[str, str]] = {
        "bos": "<s>",
        "pad": "<pad>",
        "eos": "</s>",
        "unk": "<unk>",
        "mask": "<mask>",
        "cls": "<s>",
        "sep": "</s>",
    }
    least_ordinary: ClassVar[int] = 256
    mask_takes_space: ClassVar[bool] = True

    def _train(self, sample: Sequence[str], size: int) -> tokenizers.Tokenizer:
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=self.add_prefix_space)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size - self.sentinels,
            min_frequency=self.min_frequency,
            special_tokens=self._first(),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        backend.train_from_iterator(without_long_runs(sample), trainer)
        return backend

    def _post_processor(self, backend: tokenizers.Tokenizer) -> Any:
        if self.ends == "both":
            sep, cls = (self._with_id(backend, name) for name in ("sep", "cls"))
            return processors.RobertaProcessing(
                sep, cls, trim_offsets=self.trim_offsets, add_prefix_space=self.add_prefix_space
            )
        trim = processors.ByteLevel(
            trim_offsets=self.trim_offsets, add_prefix_space=self.add_prefix_space, use_regex=True
        )
        return processors.Sequence([trim, super()._post_processor(backend)])
