"""Every matrix and table from one normal distribution.

BERT's code cuts it off at two standard deviations (`tf.truncated_normal_initializer`); Hugging Face's BERT does not
cut. ModernBERT cuts, and draws what is added to the residual stream 1/sqrt(2 L) smaller, as GPT-2 does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from afterbert.base.numbers import Positive
from afterbert.nn.initializations import Initialization


@dataclass(frozen=True)
class Normal(Initialization):
    """Draws weights from a normal distribution."""

    initializer_range: Positive = 0.02
    """The standard deviation before cutting."""
    initializer_cutoff_factor: Positive | None = 2.0
    """At how many standard deviations draws are cut; None for no cut."""
    scales_residuals: bool = False
    """Whether it is divided by sqrt(2 * layers) in layers called `output`."""

    @torch.no_grad()
    def apply(self, module: nn.Module, num_hidden_layers: int) -> None:
        for name, part in module.named_modules():
            if isinstance(part, nn.Linear):
                shrinks = self.scales_residuals and name.rsplit(".", 1)[-1] == "output"
                self._draw(part.weight, (2 * num_hidden_layers) ** -0.5 if shrinks else 1.0)
                if part.bias is not None:
                    part.bias.zero_()
            elif isinstance(part, nn.Embedding):
                self._draw(part.weight, 1.0)

    def _draw(self, weight: Tensor, factor: float) -> None:
        deviation = self.initializer_range * factor
        if self.initializer_cutoff_factor is None:
            nn.init.normal_(weight, std=deviation)
        else:
            cut = self.initializer_cutoff_factor * deviation
            nn.init.trunc_normal_(weight, std=deviation, a=-cut, b=cut)
