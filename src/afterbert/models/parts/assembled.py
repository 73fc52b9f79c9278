"""What all architectures have in common that are assembled from embeddings, stacks and a head."""

from abc import abstractmethod
from dataclasses import fields
from typing import Annotated

from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone
from afterbert.nn.embeddings import Embeddings, table_of
from afterbert.nn.heads import LMHead, LMHeadModule
from afterbert.nn.norms import Norm
from afterbert.nn.sharing import SharingPlan
from afterbert.nn.sizes import Sizes
from afterbert.nn.stack import Stack

Size = Annotated[int, Field(gt=0, le=1_000_000)]


class Assembled(Architecture):
    """The fields are each architecture's own, in its own order. `norm` serves the embeddings, the stacks and the
    head."""

    num_attention_heads: int
    intermediate_size: int
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    norm: Norm
    embeddings: Embeddings
    stack: Stack
    lm_head: LMHead

    @property
    def sizes(self) -> Sizes:
        return Sizes(**{one.name: getattr(self, one.name) for one in fields(Sizes)})

    @property
    def plan(self) -> SharingPlan:
        """Which layers use the same weights."""
        return self.stack.sharing.plan(self.num_hidden_layers)

    @property
    def type_vocab_size(self) -> int:
        return self.embeddings.type_vocab_size

    @property
    def languages(self) -> tuple[str, ...]:
        return self.embeddings.languages or self.stack.sharing.languages

    @property
    def is_routed(self) -> bool:
        return bool(self.stack.sharing.languages)

    @property
    def tables(self) -> int:
        return self.stack.sharing.tables

    @abstractmethod
    def module(self, vocab_size: int) -> Backbone:
        """Returns the backbone before its weights are drawn."""

    def build(self, vocabulary: Vocabulary) -> Backbone:
        backbone = self.module(self.table_size(vocabulary))
        self.initialization.apply(backbone, self.num_hidden_layers)
        return backbone

    def build_lm_head(self, backbone: Backbone) -> LMHeadModule:
        widen = backbone.embeddings.widen
        head = self.lm_head.build(self.hidden_size, table_of(backbone), self.norm, widen=widen, tables=self.tables)
        self.initialization.apply(head, self.num_hidden_layers)
        return head

    def lm_head_flops(self, vocab_size: int) -> float:
        return self.lm_head.flops_per_piece(vocab_size, self.hidden_size, self.embeddings.width(self.sizes))


def refuse_languages(model: Assembled, *, vectors: bool = True) -> None:
    """Raises UserError for parts of languages in an architecture that has none. vectors: also for language vectors."""
    if model.embeddings.languages and vectors:
        raise UserError(
            "only an encoder or a decoder has vectors for languages; leave model.embeddings.languages out, or choose "
            "one of these"
        )
    if model.is_routed:
        raise UserError("only an encoder shares its layers by_language; choose another model.stack.sharing")
