"""Each language has its own lower layers, or its own table of pieces; the layers above are shared by all.

Source: Conneau et al. 2020 (1911.01464), Section 3.3: Sep Emb, Sep L1-3, Sep L1-6 and both. There the positions are
separate with the embeddings; here a table of positions stays shared (the laptop recipe has none).
"""

from dataclasses import dataclass

from afterbert.base.errors import UserError
from afterbert.base.numbers import CountFromZero
from afterbert.nn.sharing import Sharing, SharingPlan


@dataclass(frozen=True)
class ShareByLanguage(Sharing):
    """Gives each language some layers of its own.

    >>> ShareByLanguage(languages=("en", "de"), layers=1).plan(2)
    SharingPlan(attention=(0, 1), feed_forward=(0, 1), own=1)
    """

    languages: tuple[str, ...]
    """Codes, in the order of their numbers."""
    layers: CountFromZero = 0
    """How many layers, from the lowest, each language has for itself."""
    embeddings: bool = False
    """Whether each language has its own table of pieces, and so its own softmax: then no piece is shared."""

    def __post_init__(self) -> None:
        if len(set(self.languages)) < max(2, len(self.languages)):
            raise UserError(f"sharing.languages is {', '.join(self.languages)}; name two or more, each once")

    def plan(self, num_hidden_layers: int) -> SharingPlan:
        if self.layers > num_hidden_layers:
            raise UserError(f"sharing.layers is {self.layers}, but the model has {num_hidden_layers} layers")
        every = tuple(range(num_hidden_layers))
        return SharingPlan(every, every, own=self.layers)

    @property
    def tables(self) -> int:
        return len(self.languages) if self.embeddings else 1
