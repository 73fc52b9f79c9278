"""The numbers that several bricks of one model must agree on."""

from dataclasses import dataclass

from afterbert.base.errors import UserError


@dataclass(frozen=True)
class Sizes:
    """The sizes that a parent hands to its children when it builds them. Names as in Hugging Face's configs."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0

    def head_size(self, fixed: int | None) -> int:
        """Returns the width K of one attention head: `fixed`, or hidden_size divided evenly. Raises UserError if it
        cannot be."""
        if fixed is not None:
            return fixed
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"hidden_size {self.hidden_size} does not divide into {self.num_attention_heads} attention heads; "
                "choose a multiple"
            )
        return self.hidden_size // self.num_attention_heads
