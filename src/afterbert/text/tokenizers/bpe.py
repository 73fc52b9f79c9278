"""Byte-pair encoding of characters, with the bytes of a character that is not known: no text is ever unknown, and no
letter, mark or case is changed.

Source: Sennrich et al. 2016 (1508.07909); white space as SentencePiece has it (Kudo and Richardson 2018, 1808.06226),
bytes for what is rare as in LLaMA (Touvron et al. 2023, 2302.13971, Section 2.1). Ours: a piece never joins letters
with digits or signs, and a letter stays with its marks, so that the vowel signs of Hindi do not cut its words.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from afterbert.text.tokenizers._trained import (
    SPACE,
    TrainedRecipe,
    alphabet_of,
    on_one_line,
    with_bytes,
    without_long_runs,
)

_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
# Letters with their marks and the joiners between them, digits, signs; each may take the space before it along.
_LETTERS = r"\p{L}\p{M}\u200c\u200d"
_STRETCHES = rf"{SPACE}?[{_LETTERS}]+|{SPACE}?\p{{N}}+|{SPACE}?[^{SPACE}{_LETTERS}\p{{N}}]+|{SPACE}"


@dataclass(frozen=True)
class BPE(TrainedRecipe):
    """Text is brought to NFC and white space to single spaces, nothing else.

    >>> made = BPE(vocab_size=320, min_frequency=1).make(["low lower lowest"] * 9, corpus_bytes=150)
    >>> made.plain.encode("low Lowest", add_special_tokens=False).tokens
    ['▁low', '▁', '<0x4C>', 'o', 'w', 'e', 'st']
    """

    lowercase: bool = False
    """Everything in lower case."""

    least_ordinary: ClassVar[int] = 256 + 32
    mask_takes_space: ClassVar[bool] = True

    def _train(self, sample: Sequence[str], size: int) -> tokenizers.Tokenizer:
        learner = self._backend(models.BPE())
        room = size - len(self._reserved()) - len(_BYTES)
        letters = alphabet_of(
            sample, normalize=learner.normalizer.normalize_str, limit=room // 2, min_frequency=self.min_frequency
        )
        letters = sorted({SPACE, *letters})
        first = [*self._first(), *_BYTES, *letters]
        learner.train_from_iterator(
            without_long_runs(sample),
            trainers.BpeTrainer(
                vocab_size=size - self.sentinels,
                min_frequency=self.min_frequency,
                special_tokens=first,
                initial_alphabet=letters,
                limit_alphabet=len(letters),
                show_progress=False,
            ),
        )
        learned = json.loads(learner.to_str())["model"]
        vocabulary = dict(learned["vocab"])
        for token in self._last():
            vocabulary[token] = len(vocabulary)
        model = models.BPE(
            vocab=vocabulary,
            merges=[tuple(pair) for pair in learned["merges"]],
            byte_fallback=True,
            unk_token=self.specials["unk"],
        )
        made = self._backend(model)
        made.decoder = with_bytes()
        return made

    def _backend(self, model: models.BPE) -> tokenizers.Tokenizer:
        backend = tokenizers.Tokenizer(model)
        backend.normalizer = on_one_line(normalizers.NFC(), lowercase=self.lowercase)
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
                pre_tokenizers.Split(Regex(_STRETCHES), behavior="isolated"),
            ]
        )
        return backend
