"""What all tokenizers that are trained share: settings, size, special pieces, and the two ends of a text."""

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import tokenizers
from pydantic import Field
from tokenizers import Regex, decoders, normalizers, processors

from afterbert.base.errors import UserError
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers import TokenizerRecipe

Ends = Literal["both", "last", "none"]

SPACE = "\u2581"
_LONGEST_RUN = 128
_LONG_RUN = re.compile(rf"(\S{{{_LONGEST_RUN}}})(?=\S)")


def automatic_vocab_size(corpus_bytes: int) -> int:
    """Returns 8,000 pieces below 50 MB of text, 16,000 below 500 MB, else 30,000, BERT's number.

    Small models on small texts learn rare pieces badly, and their embeddings would be most of the model.

    >>> automatic_vocab_size(29_000_000), automatic_vocab_size(3_000_000_000)
    (8000, 30000)
    """
    return 8_000 if corpus_bytes < 50e6 else 16_000 if corpus_bytes < 500e6 else 30_000


@dataclass(frozen=True)
class TrainedRecipe(TokenizerRecipe):
    """A tokenizer that is trained on the corpus."""

    vocab_size: Annotated[int, Field(ge=32, le=10_000_000)] | None = None
    """The number of all pieces, specials and sentinels included; chosen by the size of the corpus when not given."""
    min_frequency: Annotated[int, Field(ge=1, le=1_000_000_000)] = 2
    """Rarer pieces are not made."""
    sentinels: Annotated[int, Field(ge=0, le=1000)] = 0
    """How many `<extra_id_i>` there are (T5). They get the last ids, the first of them the very last."""
    ends: Ends = "both"
    """What `tokenizer.json` puts around a text: both (`[CLS] A [SEP]`), last (`A </s>`), none."""
    sample_megabytes: Annotated[int, Field(ge=1, le=4096)] | None = None
    """How much of the corpus the training sees; one for each thousand pieces when not given."""

    #: special pieces by Hugging Face's name, in the order of their ids; names may share a piece
    specials: ClassVar[dict[str, str]] = {
        "pad": "[PAD]",
        "unk": "[UNK]",
        "cls": "[CLS]",
        "sep": "[SEP]",
        "mask": "[MASK]",
        "bos": "[CLS]",
        "eos": "[SEP]",
    }
    #: how many pieces must have room beside the special ones
    least_ordinary: ClassVar[int] = 32
    #: whether the mask takes the space before it along, as pieces that begin with a space do
    mask_takes_space: ClassVar[bool] = False

    def __post_init__(self) -> None:
        least = len(self._reserved()) + self.least_ordinary
        if self.vocab_size is not None and self.vocab_size < least:
            raise UserError(f"vocab_size is {self.vocab_size}, letters and special pieces alone need {least}; raise it")

    def sample_bytes(self, corpus_bytes: int) -> int:
        pieces = self.vocab_size or automatic_vocab_size(corpus_bytes)
        return 1_000_000 * (self.sample_megabytes or max(4, pieces // 1_000))

    def make(self, sample: Sequence[str], *, corpus_bytes: int) -> Tokenizer:
        size = self.vocab_size or automatic_vocab_size(corpus_bytes)
        backend = self._train(sample, size)
        backend.add_special_tokens([self._added(token) for token in self._reserved()])
        backend.post_processor = self._post_processor(backend)
        settings: dict[str, Any] = {f"{name}_token": token for name, token in self.specials.items()}
        return Tokenizer.of(backend, settings)

    @abstractmethod
    def _train(self, sample: Sequence[str], size: int) -> tokenizers.Tokenizer:
        """A tokenizer whose vocabulary begins with the specials and ends with the sentinels, `size` pieces at most."""

    def _first(self) -> list[str]:
        """The special pieces that get the first ids."""
        return list(dict.fromkeys(self.specials.values()))

    def _last(self) -> list[str]:
        """The sentinels, in the order of their ids."""
        return [f"<extra_id_{number}>" for number in reversed(range(self.sentinels))]

    def _reserved(self) -> list[str]:
        return self._first() + self._last()

    def _added(self, token: str) -> tokenizers.AddedToken:
        takes_space = self.mask_takes_space and token == self.specials["mask"]
        return tokenizers.AddedToken(token, special=True, normalized=False, lstrip=takes_space)

    def _with_id(self, backend: tokenizers.Tokenizer, name: str) -> tuple[str, int]:
        piece_id = backend.token_to_id(self.specials[name])
        assert piece_id is not None, f"{self.specials[name]} was added before"
        return self.specials[name], piece_id

    def _post_processor(self, backend: tokenizers.Tokenizer) -> Any:
        (first, first_id), (last, last_id) = (self._with_id(backend, name) for name in ("cls", "sep"))
        one, two = {
            "both": (f"{first} $A {last}", f"{first} $A {last} $B:1 {last}:1"),
            "last": (f"$A {last}", f"$A {last} $B:1 {last}:1"),
            "none": ("$A", "$A $B:1"),
        }[self.ends]
        ids = list({first: first_id, last: last_id}.items())
        return processors.TemplateProcessing(single=one, pair=two, special_tokens=ids)


def on_one_line(form: normalizers.Normalizer, *, lowercase: bool) -> normalizers.Normalizer:
    """Makes a form of Unicode of a text, and single spaces of its white space."""
    cased = [normalizers.Lowercase()] if lowercase else []
    return normalizers.Sequence([form, *cased, normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])


def with_bytes() -> decoders.Decoder:
    """Puts pieces together that begin with a space, with bytes among them; the first space of a text is none of its
    own."""
    spaces, strip = decoders.Replace(SPACE, " "), decoders.Strip(content=" ", left=1)
    return decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse(), strip])


def without_long_runs(sample: Sequence[str]) -> Iterator[str]:
    """Returns the texts with a space in every run of 128 characters: longer ones take time and teach nothing.

    >>> [len(part) for part in next(without_long_runs(["x" * 300])).split()]
    [128, 128, 44]
    """
    return (_LONG_RUN.sub(r"\1 ", text) for text in sample)


def alphabet_of(sample: Sequence[str], *, normalize: Callable[[str], str], limit: int, min_frequency: int) -> list[str]:
    """Returns the characters to know, sorted: those seen often enough, at most the `limit` most frequent.

    `normalize` is applied to one character at a time; ties go to the lower code point, so the answer is
    always the same.

    >>> alphabet_of(["aab", "bc"], normalize=str.upper, limit=2, min_frequency=1)
    ['A', 'B']
    """
    raw: Counter[str] = Counter()
    for text in sample:
        raw.update(text)
    seen: Counter[str] = Counter()
    for character, count in raw.items():
        for made in normalize(character):
            if not made.isspace():
                seen[made] += count
    often = [character for character, count in seen.items() if count >= min_frequency]
    return sorted(sorted(often, key=lambda c: (-seen[c], c))[:limit])
