"""A generator that learns to deceive the discriminator, by reinforcement, since no gradient passes through a draw.

Source: ELECTRA (2003.10555), Section 3.2 and Appendix F; Williams 1992. The reward of a drawn piece is the loss of the
discriminator at its place; each piece counts as drawn on its own. A linear layer over the generator's states foretells
the reward, and only what exceeds the forecast moves the generator. The generator has no other loss then. Deviation:
the forecast's own loss does not reach the generator's layers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.objectives.parts.meaning import Meaning


class Adversary(nn.Module):
    """forecast: the vector w of the paper; the sigmoid of w.h is how sure the discriminator will be of the truth."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.forecast = nn.Linear(hidden_size, 1)

    def forward(
        self, hidden: Tensor, log_shares: Tensor, *, verdicts: Tensor, is_replaced: Tensor
    ) -> dict[str, Tensor]:
        """Returns both parts, summed over the chosen places [N].

        hidden: [N, D] of the generator; log_shares: [N], of the drawn pieces under it; verdicts: [N], the
        discriminator's logits for "replaced" there; is_replaced: [N], the truth.
        """
        truth = is_replaced.float()
        reward = F.binary_cross_entropy_with_logits(verdicts.detach().float(), truth, reduction="none")
        forecast = self.forecast(hidden.detach()).float().squeeze(-1)
        gain = (reward + F.logsigmoid(forecast)).detach()
        return {
            "adversary": -(gain * log_shares).sum(),
            "forecast": F.binary_cross_entropy_with_logits(forecast, torch.exp(-reward), reduction="sum"),
        }

    def meanings(self) -> Mapping[str, Meaning]:
        """Tells what its parts are called; the first is no loss that falls when all goes well."""
        return {
            "adversary": Meaning("the generator's gain over its forecast, times nats", "nats squared per piece"),
            "forecast": Meaning("forecast of the discriminator's loss", "nats per piece"),
        }
