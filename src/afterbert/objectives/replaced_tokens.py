"""Replaced token detection: a small masked language model fills the masked places with its own guesses, and
the model itself says which pieces are not the original ones.

Source: ELECTRA (2003.10555), Sections 2 and 3; google-research/electra. Both are trained together; no gradient
passes through the sampling, so the generator learns from its own masked-LM loss only, or, as a variant, by
reinforcement (`heads/adversary.py`). The saved backbone is the discriminator's. Deviations: special pieces are neither
drawn nor asked about (the release asks about them too, always with the answer "original").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Count, InnerShare, NotNegative, Positive, Rate
from afterbert.base.rows import Rows
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch, PretextTask
from afterbert.objectives.parts.arrays import asked_arrays, input_arrays, width_of
from afterbert.objectives.parts.posing import TextStart
from afterbert.objectives.parts.questions import ONE_TABLE, check_answers
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.answers.replaced import Replaced
from afterbert.pretext.corruptions.replace import Replace
from afterbert.pretext.posed import AskedInPlace, Posed

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.models.encoder import Encoder
    from afterbert.nn.heads import LMHeadModule
    from afterbert.objectives.modules import ObjectiveModule

Asks = Literal["replaced_everywhere", "replaced_where_chosen", "pieces_where_chosen", "pieces_everywhere"]


#: The generator's parts of the score where it learns to deceive, both counted by the chosen pieces.
PARTS = ("adversary", "forecast")
_BELOW_ONE = np.float32(1 - 2**-24)


@dataclass(frozen=True)
class Generator:
    """The small masked language model that replaces pieces, by its difference from the discriminator."""

    size: Rate = 0.25
    """Width of hidden states and feed-forward as a share of the discriminator's (paper: 1/4 to 1/2). Heads stay as wide
    as the discriminator's, so there are fewer of them (google-research/electra, `get_generator_config`)."""
    num_hidden_layers: Count | None = None
    """None: as many as the discriminator has."""
    shares: Literal["embeddings", "all", "none"] = "embeddings"
    """The tables and norm of the embeddings, at the discriminator's width and then projected; or every weight; or
    none."""
    temperature: Positive = 1.0
    """Its logits are divided by it before a piece is drawn."""
    learns: Literal["to_fill", "to_deceive"] = "to_fill"
    """From its own masked-LM loss, or to make the discriminator err (Appendix F)."""

    def of(self, discriminator: Encoder) -> Encoder:
        """Returns the generator's architecture.

        >>> from afterbert.models.encoder import Encoder
        >>> base = Generator(size=1 / 3).of(Encoder(hidden_size=768, num_attention_heads=12))
        >>> base.hidden_size, base.num_attention_heads
        (256, 4)
        """
        head_size = discriminator.hidden_size // discriminator.num_attention_heads
        wanted = discriminator.hidden_size * self.size
        heads = max(1, round(wanted) // head_size)
        hidden_size = max(1, round(wanted / (2 * heads))) * 2 * heads
        width = discriminator.embeddings.width(discriminator.sizes)
        is_as_wide = hidden_size == width == discriminator.hidden_size
        embeddings = replace(discriminator.embeddings, embedding_size=None if is_as_wide else width)
        return replace(
            discriminator,
            hidden_size=hidden_size,
            num_attention_heads=heads,
            intermediate_size=max(1, discriminator.intermediate_size * hidden_size // discriminator.hidden_size),
            num_hidden_layers=self.num_hidden_layers or discriminator.num_hidden_layers,
            embeddings=embeddings if self.shares != "none" else discriminator.embeddings,
        )


@dataclass(frozen=True)
class ReplacedTokens(TextStart):
    """Finds the pieces that a generator replaced."""

    generator: Generator = Generator()
    asks: Asks = "replaced_everywhere"
    """Whether every piece is asked about, or only chosen ones; and whether it was replaced, or which it was. (ELECTRA;
    ELECTRA 15%; Replace MLM; All-Tokens MLM, which may copy the shown piece through a gate.)"""
    loss_weight: NotNegative = 50.0
    """The weight of that question; the generator's is 1."""
    two_stage: InnerShare | None = None
    """For this share of the run the generator learns alone, then the discriminator from its weights, with the generator
    frozen (Section 3.2); None: together."""

    def __post_init__(self) -> None:
        check_answers(self.pretext, "replaced_tokens", may=(AskedInPlace,), exactly_one=AskedInPlace)
        if self.sampled_softmax is not None:
            raise UserError(
                "the generator of replaced_tokens draws from all pieces, so nothing is saved; leave sampled_softmax out"
            )
        if self.two_stage is not None and (self.generator.size != 1 or self.generator.shares != "none"):
            raise UserError(
                "two_stage copies the generator's weights into the model, so both must have one shape and share "
                "nothing; set generator.size to 1 and generator.shares to none"
            )
        if self.generator.learns == "to_deceive" and (self.two_stage or not self.asks.startswith("replaced")):
            raise UserError(
                "a generator that learns to_deceive needs a discriminator that is trained beside it and told what was "
                "replaced; leave two_stage out and set asks to replaced_everywhere"
            )

    def flops_beside(self, architecture: Architecture, vocab_size: int, length: int) -> float:
        return self.generator.of(cast("Encoder", architecture)).flops_per_token(vocab_size, length)

    def pictured(self) -> Mapping[str, PretextTask]:
        """Returns the generator's task, and what the discriminator then reads; pieces of the row itself take the place
        of a trained generator's samples."""
        (task,) = self.pretexts().values()
        edits = tuple(replace(edit, corruption=Replace(draws="row")) for edit in self.pretext.edits)
        asks = Replaced() if self.asks.startswith("replaced") else InPlace()
        after = replace(task, pretext=replace(self.pretext, edits=edits, answers=(asks,)))
        return {"the generator": task, "the discriminator": after}

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        width = width_of(posed.shown, length)
        arrays = input_arrays(posed, vocabulary, width=width)
        asked, counts = asked_arrays(posed, width=width, in_place="generator")
        if self.two_stage is None or self._two_stages.at(noise.progress):
            positions = next(asked.positions for asked in posed.asked if isinstance(asked, AskedInPlace))
            arrays["sampling_noise"] = _sampling_noise(posed.shown, positions, noise.of("sample"))
            if self.asks in ("replaced_where_chosen", "pieces_where_chosen"):
                arrays["detected_at"] = asked["chosen"]
            else:
                ordinary = np.flatnonzero(~posed.shown.planes["special"])
                arrays["detected_at"] = posed.shown.flat_to_padded(ordinary, length=width)
            counts["replaced" if self.asks.startswith("replaced") else "pieces"] = len(arrays["detected_at"])
            if self.generator.learns == "to_deceive":
                counts |= dict.fromkeys(PARTS, counts["generator"])
            if self.two_stage is not None or self.generator.learns == "to_deceive":
                del counts["generator"]
        return Batch(arrays | asked, counts, posed.shown.num_pieces, posed.shown.keys)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.modules.replaced_tokens import ReplacedTokensModule

        return ReplacedTokensModule(self, cast("Encoder", architecture), backbone, vocabulary)

    def check(self, architecture: Architecture) -> None:
        self.check_reads_both_ways(architecture)
        if cast("Encoder", architecture).stack.sharing.tables > 1:
            raise UserError(ONE_TABLE.format("replaced_tokens"))
        if self.generator.shares == "all" and self.generator.of(cast("Encoder", architecture)) != architecture:
            raise UserError(
                "a generator that shares all weights has the model's own shape; set generator.size to 1 and "
                "leave num_hidden_layers out, or share embeddings only"
            )

    @property
    def _two_stages(self) -> Stages:
        share = self.two_stage or 0.5
        return Stages("two_stage", ("generator", "discriminator"), (share, 1 - share))

    def course(self) -> tuple[Stages, ...]:
        return (*super().course(), *((self._two_stages,) if self.two_stage is not None else ()))

    def check_shards(self) -> None:
        if self.two_stage is not None:
            raise UserError(
                "two_stage trains one part of the model first, so processes would wait for layers that others do not "
                "use; set training.parallel to ddp"
            )

    def started_head(self, module: Any) -> LMHeadModule:
        return module.generator_head


def _sampling_noise(rows: Rows, positions: np.ndarray, noise: Noise) -> np.ndarray:
    """float32 [N, 2] in [0, 1): two numbers for each of these flat positions, functions of row key and place."""
    keys, places = rows.keys_of[positions], rows.position_in_row[positions]
    drawn = [noise.of(name).uniform(keys, places) for name in ("block", "piece")]
    return np.minimum(np.stack(drawn, axis=1).astype(np.float32), _BELOW_ONE)
