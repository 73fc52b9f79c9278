"""WordPiece as in BERT: words and punctuation first, then the longest known piece from the left; `##` continues a word.

Source: Devlin et al. 2018 (1810.04805) Section 3 and the release's tokenization.py. The pieces are learned by merging
pairs, as Hugging Face does, since Google's own training was never released. Chinese characters stand alone; a word of
more than 100 characters, or with an unknown character, becomes `[UNK]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tokenizers
from tokenizers import models, trainers

from afterbert.text.tokenizers._trained import TrainedRecipe, alphabet_of, without_long_runs
from afterbert.text.tokenizers._vocab_txt import as_bert


@dataclass(frozen=True)
class WordPiece(TrainedRecipe):
    """
    >>> made = WordPiece(vocab_size=64, min_frequency=1).make(["low lower lowest"] * 9, corpus_bytes=150)
    >>> made.plain.encode("lowest low!", add_special_tokens=False).tokens
    ['lowest', 'low', '[UNK]']
    """

    lowercase: bool = False
    """Everything in lower case, as BERT's English models have it."""

    strip_accents: bool | None = None
    """`é` becomes `e`, and marks that are letters of their own (Hindi's vowel signs) go; when not said, with lower case
    only, as BERT does."""

    def _train(self, sample: Sequence[str], size: int) -> tokenizers.Tokenizer:
        learner = self._backend(models.WordPiece(unk_token=self.specials["unk"]))
        letters = self._letters(learner, sample, size)
        # Ids break ties between pairs, so letters get theirs before training, in an order of our own: the
        # library numbers them in the order of a hash table, which differs from run to run.
        learner.train_from_iterator(
            without_long_runs(sample),
            trainers.WordPieceTrainer(
                vocab_size=size - self.sentinels,
                min_frequency=self.min_frequency,
                special_tokens=self._first() + letters,
                initial_alphabet=[letter for letter in letters if len(letter) == 1],
                limit_alphabet=sum(len(letter) == 1 for letter in letters),
                show_progress=False,
            ),
        )
        vocabulary = learner.get_vocab()
        for token in self._last():
            vocabulary[token] = len(vocabulary)
        return self._backend(models.WordPiece(vocab=vocabulary, unk_token=self.specials["unk"]))

    def _letters(self, learner: tokenizers.Tokenizer, sample: Sequence[str], size: int) -> list[str]:
        """The characters to know, at most half of the vocabulary, then those among them that continue words
        as `##x`."""
        alphabet = alphabet_of(
            sample,
            normalize=learner.normalizer.normalize_str,
            limit=(size - len(self._reserved())) // 2,
            min_frequency=self.min_frequency,
        )
        no_merges = trainers.WordPieceTrainer(
            vocab_size=0, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False
        )
        words = {word for text in without_long_runs(sample) for word in text.split()}
        learner.train_from_iterator(words, no_merges)
        return sorted(learner.get_vocab(), key=lambda letter: (len(letter), letter))

    def _backend(self, model: models.WordPiece) -> tokenizers.Tokenizer:
        return as_bert(model, lowercase=self.lowercase, strip_accents=self.strip_accents)
