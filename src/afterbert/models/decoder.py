"""A decoder: each piece sees itself and what stands before it. Its defaults are GPT-2's.

Source: GPT-2 (Radford et al. 2019), Section 2.3. A rule of visibility that is given replaces left-to-right,
so the same weights can read a prefix both ways (UniLM, T5's prefix language model).
"""

from dataclasses import dataclass

from afterbert.models.parts.assembled import refuse_languages
from afterbert.models.parts.single_stack import SingleStack
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.heads import LMHead
from afterbert.nn.initializations import Initialization
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.norms import Norm
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Stack


@dataclass(frozen=True)
class Decoder(SingleStack):
    """Defaults are GPT-2's, in a tiny size."""

    reads = "left_to_right"
    writes = "behind"
    summary = "last"
    obeys_visibility = True

    norm: Norm = LayerNorm(eps=1e-5)
    embeddings: Embeddings = Embeddings(type_vocab_size=0, has_norm=False)
    stack: Stack = Stack(feed_forward=Plain(activation="gelu_new"), residual=PreNorm())
    lm_head: LMHead = LMHead(has_transform=False, decoder_bias=False)
    initialization: Initialization = Normal(initializer_cutoff_factor=None, scales_residuals=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_languages(self, vectors=False)
