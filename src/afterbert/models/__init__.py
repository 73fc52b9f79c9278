"""Architectures: frozen configs that assemble the bricks of `nn`. One file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.nn.embeddings import EmbeddingsModule
from afterbert.nn.heads import LMHeadModule
from afterbert.nn.initializations import Initialization
from afterbert.nn.inputs import Inputs
from afterbert.nn.past import Past
from afterbert.nn.recording import Pass, recorded
from afterbert.nn.skeleton import skeleton
from afterbert.nn.stack import EncoderOutput

_DEEPEST = 240  # layers
#: A special piece, by the name that a vocabulary gives it.
Start = Literal["pad", "bos", "eos", "cls", "sep"]
#: What speaks for a row: one of its pieces, or the mean of all.
Summary = Literal["first", "last", "mean"]


class Backbone(nn.Module, ABC):
    """A model without heads. Every kind is asked in the same words, so that whoever evaluates, probes, exports or
    distils a model need not know which kind it is."""

    embeddings: EmbeddingsModule
    writes_apart: ClassVar[bool] = False
    """Whether it has a decoder beside its encoder: then it has `encode` and `decode`."""
    calls_layers_once: ClassVar[bool] = True
    """Whether a pass calls each layer of its stacks once, as a module, with one stream."""

    @abstractmethod
    def read(self, inputs: Inputs, *, wanted: Tensor | None = None) -> Tensor:
        """Returns the hidden states [B, T, D] of texts that are read whole; in an encoder-decoder, the encoder's.

        wanted: flat places [N] of [B, T], where only their states [N, D] are to be computed. In a model that reads
        from left to right, a rule of visibility that tells of nothing but padding on the right changes nothing.
        """

    def states(
        self,
        inputs: Inputs,
        *,
        decoder_input_ids: Tensor | None = None,
        decoder_lengths: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Returns the hidden states from which heads answer: those of `read`, or those [B, U, D] of a decoder beside an
        encoder. Such a decoder reads `decoder_input_ids` [B, U], of which `decoder_lengths` [B] are no padding (None:
        all), or without them the same text once more (BART 1910.13461, Section 3.3). wanted: flat places [N] of these
        states."""
        return self.read(inputs, wanted=wanted)

    def asked(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the states [N, D] at the places `chosen` of a batch, from which a language-model head names pieces.

        arrays: `input_ids`, `chosen` (flat places [N]), whatever `Inputs.of` knows, and what this kind of model is
        asked by besides: `decoder_input_ids` [B, U] and `decoder_lengths` [B], or `query_positions` [B, Q]; then
        `chosen` counts in these.
        """
        return self.states(Inputs.of(arrays), wanted=arrays["chosen"])

    def encode(self, inputs: Inputs) -> EncoderOutput:
        """Computes what a decoder looks at while it writes. Only where it `writes_apart`."""
        raise NotImplementedError(f"{type(self).__name__} does not write apart; ask `writes_apart` first")

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoded: EncoderOutput,
        *,
        position_ids: Tensor | None = None,
        lengths: Tensor | None = None,
        past: Past | None = None,
    ) -> Tensor:
        """Returns hidden states [B, U, D] of the written ids [B, U], looking at what was encoded. lengths [B]: how many
        of them are no padding; None: all. past: the pieces written before these, whose `begin` has just been given
        their positions [B, U]. Only where it `writes_apart`."""
        raise NotImplementedError(f"{type(self).__name__} does not write apart; ask `writes_apart` first")

    def layers(self, inputs: Inputs, *, attention: bool = False) -> Pass:
        """Returns the hidden states of all layers while these texts are read whole, and on request the attention
        maps."""
        with recorded(self, attention=attention) as recording:
            self.read(inputs)
        return recording.passes[0]


@dataclass(frozen=True)
class LanguageModel:
    """A backbone with a head that was trained to name pieces.

    fills_masks: whether it was trained to name pieces that a mask hides, seeing both sides. said: whose it is, where
    it is not the model that its run is named after ("the generator"); empty otherwise.
    """

    architecture: Architecture
    backbone: Backbone
    lm_head: nn.Module
    fills_masks: bool = False
    said: str = ""

    def parts(self) -> dict[str, nn.Module]:
        """Returns backbone and head, under the names that a saved model gives them."""
        return {"backbone": self.backbone, "lm_head": self.lm_head}

    @property
    def note(self) -> str:
        """A sentence for the user about whose answers these are; empty for those of the model itself."""
        if not self.said:
            return ""
        kind = self.architecture
        return (
            f"pieces are named by {self.said} ({kind.num_hidden_layers} layers, {kind.hidden_size} wide), which was "
            "trained beside the model; the model itself names none"
        )

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns logits [N, V] at the chosen places of a batch; see `Backbone.asked`."""
        told = Inputs.languages_at(arrays, arrays["chosen"])
        hidden = self.backbone.asked(arrays)
        return self.lm_head(hidden) if told is None else self.lm_head(hidden, told)


class Architecture(ABC):
    """A backbone as a frozen config. Heads that only training needs belong to objectives; the language-model
    head that its family saves beside the backbone is described here and built on demand.

    A backbone holds no weight under two names, and its table of pieces is `backbone.embeddings.token`. Each of its
    stacks has an attribute `recording` (None), in which it keeps what it computes while somebody records it.
    """

    #: How a text is read: every piece sees all others, or what stands before it, or what a drawn order lets it see.
    reads: ClassVar[Literal["both_ways", "left_to_right", "by_order"]]
    #: Whether it writes texts: not at all, behind what it has read, or in a decoder apart from what it reads.
    writes: ClassVar[Literal["nothing", "behind", "apart"]]
    #: The piece that has seen the whole row, and so speaks for it.
    summary: ClassVar[Literal["first", "last"]]
    #: Whether a rule of visibility that is handed in decides who sees whom (left to right, prefix, ...).
    obeys_visibility: ClassVar[bool]

    vocab_size: int | None  # None until a tokenizer fixes it
    hidden_size: int
    num_hidden_layers: int
    max_position_embeddings: int
    initialization: Initialization

    @property
    def task_summary(self) -> Summary:
        """What speaks for a row in a task, where nobody says otherwise."""
        return self.summary

    @abstractmethod
    def build(self, vocabulary: Vocabulary) -> Backbone:
        """Returns the backbone with fresh weights, drawn from torch's generator. Raises UserError if vocabulary and
        config disagree."""

    @abstractmethod
    def build_lm_head(self, backbone: Backbone) -> LMHeadModule:
        """Returns a fresh head from hidden [N, D] to logits [N, V], tied to the table of `backbone` without owning
        it."""

    def num_parameters(self, vocab_size: int) -> int:
        """Counts the parameters of `build`, on a skeleton that holds no numbers; of one deeper than any that is built
        in earnest, on two that are less deep, since each further layer adds as much as the one before."""
        if self.num_hidden_layers <= _DEEPEST:
            return _count(_skeleton(self, vocab_size))
        try:
            less, more = (_count(_skeleton(_of_depth(self, depth), vocab_size)) for depth in (_DEEPEST // 2, _DEEPEST))
        except UserError:  # layers that are shared in groups, which these depths do not divide into
            return _count(_skeleton(self, vocab_size))
        return more + (more - less) * (self.num_hidden_layers - _DEEPEST) // (_DEEPEST - _DEEPEST // 2)

    def num_lm_head_parameters(self, vocab_size: int) -> int:
        """Counts the parameters that `build_lm_head` adds."""
        shallow = _of_depth(self, min(self.num_hidden_layers, _DEEPEST))  # layers do not matter here
        with skeleton():
            return _count(self.build_lm_head(_skeleton(shallow, vocab_size)))

    @abstractmethod
    def flops_per_token(self, vocab_size: int, length: int) -> float:
        """Multiply-adds times two of one forward pass of the backbone, per token, at this row length (Kaplan
        et al. 2020, Section 2.1, plus both products of the attention term)."""

    @abstractmethod
    def lm_head_flops(self, vocab_size: int) -> float:
        """Counts multiply-adds, times two, of the language-model head, per piece that it is asked about."""

    @property
    def is_encoder(self) -> bool:
        """Whether it only reads, and every piece sees all others."""
        return self.reads == "both_ways" and self.writes == "nothing"

    @property
    def num_remembered(self) -> int:
        """Positions of earlier rows that it goes on seeing in the next row of the same slot."""
        return 0

    @property
    def type_vocab_size(self) -> int:
        """Kinds of segments that have a vector; 0 for none."""
        return 0

    @property
    def has_segments(self) -> bool:
        """Whether it tells the first text of a pair from the second."""
        return self.type_vocab_size > 1

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages for which the model has vectors or layers of their own, in the order of their numbers."""
        return ()

    @property
    def is_routed(self) -> bool:
        """Whether languages have layers or tables of pieces of their own."""
        return False

    def writing_start(self, vocabulary: Vocabulary) -> Start:
        """Returns the special piece with which writing begins: the one that separates texts. Where the vocabulary has
        none it is `eos`, which `vocabulary.need` then asks for."""
        order: tuple[Start, ...] = ("eos", "sep", "bos", "cls", "pad")
        return next((name for name in order if getattr(vocabulary, name) is not None), "eos")

    def table_size(self, vocabulary: Vocabulary) -> int:
        """Returns the rows of the table of pieces: `vocab_size` where it is set, else the vocabulary's. Raises
        UserError if the vocabulary does not fit in."""
        if self.vocab_size is None:
            return vocabulary.size
        if self.vocab_size < vocabulary.size:
            raise UserError(
                f"vocab_size is {self.vocab_size}, but the tokenizer has {vocabulary.size} pieces; leave vocab_size "
                f"out, or set at least {vocabulary.size}"
            )
        return self.vocab_size


def _skeleton(architecture: Architecture, vocab_size: int) -> Backbone:
    sized: Architecture = replace(cast(Any, architecture), vocab_size=vocab_size)
    with skeleton():
        return sized.build(Vocabulary(size=vocab_size))


def _of_depth(architecture: Architecture, layers: int) -> Architecture:
    return cast(Architecture, replace(cast(Any, architecture), num_hidden_layers=layers))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
