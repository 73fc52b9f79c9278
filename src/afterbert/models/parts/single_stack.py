"""What architectures of one stack have in common: the config's fields, their predictions, and the module."""

from dataclasses import dataclass, replace

from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.numbers import DropoutRate
from afterbert.models import Backbone, Summary
from afterbert.models.parts.assembled import Assembled, Size
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.heads import LMHead
from afterbert.nn.initializations import Initialization
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.inputs import Inputs
from afterbert.nn.norms import Norm
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.past import Past
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.stack import Stack
from afterbert.nn.visibility import PaddedVisibility


@dataclass(frozen=True)
class SingleStack(Assembled):
    """An architecture of one stack; the defaults are BERT's."""

    vocab_size: Size | None = None
    hidden_size: Size = 128
    num_hidden_layers: Size = 2
    num_attention_heads: Size = 2
    intermediate_size: Size = 512
    max_position_embeddings: Size = 512
    hidden_dropout_prob: DropoutRate = 0.1
    attention_probs_dropout_prob: DropoutRate = 0.1
    norm: Norm = LayerNorm()
    embeddings: Embeddings = Embeddings()
    stack: Stack = Stack()
    lm_head: LMHead = LMHead()
    initialization: Initialization = Normal()

    def __post_init__(self) -> None:
        self.stack.check(self.sizes)
        if self.embeddings.languages and self.stack.sharing.languages not in ((), self.embeddings.languages):
            raise UserError("stack.sharing.languages and embeddings.languages differ; name the same in the same order")

    @property
    def task_summary(self) -> Summary:
        """The mean in encoders with rotary positions, as ModernBERT's own models have it: no question about whole rows
        ever taught their first piece to speak for one."""
        is_modern = self.reads == "both_ways" and isinstance(self.stack.attention.positions, Rotary)
        return "mean" if is_modern else self.summary

    def module(self, vocab_size: int) -> Backbone:
        return SingleStackModule(self, vocab_size)

    def flops_per_token(self, vocab_size: int, length: int) -> float:
        return self.embeddings.flops_per_token(self.sizes) + self.stack.flops_per_token(self.sizes, length)


class SingleStackModule(Backbone):
    """The backbone of an encoder or a decoder."""

    def __init__(self, config: SingleStack, vocab_size: int):
        super().__init__()
        self.reads_left_to_right = config.reads == "left_to_right"
        tables = config.stack.sharing.tables
        self.embeddings = config.embeddings.build(vocab_size * tables, config.sizes, config.norm)
        self.embeddings.rows_each = vocab_size if tables > 1 else None
        self.stack = config.stack.build(config.sizes, config.norm, is_causal=self.reads_left_to_right)

    def forward(
        self,
        input_ids: Tensor,
        *,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        language_ids: Tensor | None = None,
        visibility: PaddedVisibility | None = None,
        past: Past | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Returns hidden states [B, T, D] of ids [B, T]. Positions count from 0 if not given. `visibility` None: all
        see all, no padding; in a decoder, each piece sees itself and those before it. past: the pieces read before
        these, whose `begin` has just been given their positions [B, T]. wanted: flat places [N] of [B, T], when only
        their states [N, D] are wanted."""
        inputs = Inputs(input_ids, token_type_ids, position_ids, language_ids, visibility)
        hidden, rule = self.embeddings.of(inputs), inputs.visibility
        if rule is None and self.reads_left_to_right:
            rule = PaddedVisibility.left_to_right(hidden.device)
        return self.stack(hidden, rule, inputs.places, past=past, wanted=wanted, languages=language_ids)

    def read(self, inputs: Inputs, *, wanted: Tensor | None = None) -> Tensor:
        if self.reads_left_to_right and inputs.visibility is not None and inputs.visibility.is_only_padding:
            inputs = replace(inputs, visibility=None)  # nobody looks right, where the padding is
        return self(inputs.input_ids, **inputs.beside_ids(), wanted=wanted)
