"""No normalisation."""

from dataclasses import dataclass

from torch import nn

from afterbert.nn.norms import Norm


@dataclass(frozen=True)
class Identity(Norm):
    """No norm: states pass unchanged."""

    def build(self, size: int) -> nn.Module:
        return nn.Identity()
