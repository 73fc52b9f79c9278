"""An encoder that reads one text both ways and a decoder that writes another, looking at it. Exactly BART or
T5 by its nodes.

Sources: BART (1910.13461), Section 2.1; T5 (1910.10683), Section 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from afterbert.base.numbers import DropoutRate
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Backbone, Start
from afterbert.models.parts.assembled import Assembled, Size, refuse_languages
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.heads import LMHead
from afterbert.nn.initializations import Initialization
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.inputs import Inputs
from afterbert.nn.norms import Norm
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.past import Past
from afterbert.nn.places import at_places
from afterbert.nn.sizes import Sizes
from afterbert.nn.stack import EncoderOutput, Stack
from afterbert.nn.visibility import PaddedVisibility


@dataclass(frozen=True)
class EncoderDecoder(Assembled):
    """Defaults are BART's, in a tiny size. Both sides share the table of pieces (and its widening) and are built from
    the same nodes; num_decoder_layers None: as many as the encoder has. num_hidden_layers counts the encoder's."""

    reads = "both_ways"
    writes = "apart"
    summary = "last"
    obeys_visibility = False

    vocab_size: Size | None = None
    hidden_size: Size = 128
    num_hidden_layers: Size = 2
    num_decoder_layers: Size | None = None
    num_attention_heads: Size = 2
    intermediate_size: Size = 512
    max_position_embeddings: Size = 512
    hidden_dropout_prob: DropoutRate = 0.1
    attention_probs_dropout_prob: DropoutRate = 0.0
    norm: Norm = LayerNorm(eps=1e-5)
    embeddings: Embeddings = Embeddings(type_vocab_size=0)
    stack: Stack = Stack()
    lm_head: LMHead = LMHead(has_transform=False, decoder_bias=False)
    initialization: Initialization = Normal(initializer_cutoff_factor=None)

    def __post_init__(self) -> None:
        refuse_languages(self)
        for sizes in (self.sizes, self.decoder_sizes):
            self.stack.check(sizes)

    @property
    def decoder_sizes(self) -> Sizes:
        return replace(self.sizes, num_hidden_layers=self.num_decoder_layers or self.num_hidden_layers)

    def writing_start(self, vocabulary: Vocabulary) -> Start:
        """Returns the piece with which writing begins: eos for BART; pad for T5, whose tokenizer has no piece for
        beginnings."""
        has_beginning = vocabulary.bos is not None or vocabulary.cls is not None
        return "pad" if not has_beginning and vocabulary.pad is not None else super().writing_start(vocabulary)

    def module(self, vocab_size: int) -> EncoderDecoderModule:
        return EncoderDecoderModule(self, vocab_size)

    def flops_per_token(self, vocab_size: int, length: int) -> float:
        """Returns the mean FLOPs of a token read and a token written, each in rows of this length."""
        read = self.stack.flops_per_token(self.sizes, length)
        written = self.stack.flops_per_token(self.decoder_sizes, length, looks_across=True)
        return self.embeddings.flops_per_token(self.sizes) + (read + written) / 2


class EncoderDecoderModule(Backbone):
    """The backbone. `embeddings` owns the table of pieces; the decoder's embeddings look into it."""

    writes_apart = True

    def __init__(self, config: EncoderDecoder, vocab_size: int):
        super().__init__()
        self.embeddings = config.embeddings.build(vocab_size, config.sizes, config.norm)
        self.stack = config.stack.build(config.sizes, config.norm)
        assert self.embeddings.token is not None
        self.decoder_embeddings = config.embeddings.build_over(
            self.embeddings.token,
            config.sizes,
            config.norm,
            widen=self.embeddings.widen if config.embeddings.embedding_size else None,
        )
        self.decoder_stack = config.stack.build(config.decoder_sizes, config.norm, is_causal=True, looks_across=True)

    def forward(
        self,
        input_ids: Tensor,
        decoder_input_ids: Tensor,
        *,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        language_ids: Tensor | None = None,
        visibility: PaddedVisibility | None = None,
        decoder_lengths: Tensor | None = None,
    ) -> Tensor:
        """Returns hidden states [B, U, D] of the decoder from ids read [B, T] and ids written so far [B, U].
        `visibility` None: nothing read is padding; `decoder_lengths` [B] None: nothing written is. Segments, positions
        and languages are those of the text read."""
        inputs = Inputs(input_ids, token_type_ids, position_ids, language_ids, visibility)
        return self.decode(decoder_input_ids, self.encode(inputs), lengths=decoder_lengths)

    def encode(self, inputs: Inputs) -> EncoderOutput:
        hidden = self.stack(self.embeddings.of(inputs), inputs.visibility, inputs.places)
        return EncoderOutput(hidden, inputs.visibility)

    def read(self, inputs: Inputs, *, wanted: Tensor | None = None) -> Tensor:
        return at_places(self.encode(inputs).hidden, wanted)

    def states(
        self,
        inputs: Inputs,
        *,
        decoder_input_ids: Tensor | None = None,
        decoder_lengths: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        written = inputs.input_ids if decoder_input_ids is None else decoder_input_ids
        hidden = self(inputs.input_ids, written, **inputs.beside_ids(), decoder_lengths=decoder_lengths)
        return at_places(hidden, wanted)

    def asked(self, arrays: Mapping[str, Tensor]) -> Tensor:
        written = {name: arrays.get(name) for name in ("decoder_input_ids", "decoder_lengths")}
        return self.states(Inputs.of(arrays), **written, wanted=arrays["chosen"])

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoded: EncoderOutput,
        *,
        position_ids: Tensor | None = None,
        lengths: Tensor | None = None,
        past: Past | None = None,
    ) -> Tensor:
        inputs = Inputs(decoder_input_ids, position_ids=position_ids)
        hidden = self.decoder_embeddings.of(inputs)
        rule = PaddedVisibility.left_to_right(hidden.device, lengths)
        return self.decoder_stack(hidden, rule, inputs.places, encoded, past)
