"""What a decoder remembers of the pieces it has read, so that each new piece is read alone.

Keys are kept as they were before positions were brought in, and positions are laid over all of them at each step:
so one memory serves every kind of position, at the price of turning or looking up short rows again. Padding may stand
anywhere; who sees whom follows from positions alone.
"""

import torch
from torch import Tensor

from afterbert.nn.visibility import Visible

KeyValue = tuple[Tensor, Tensor]


class Past:
    """Keeps what T pieces in N rows left behind: positions [N, T] and, for each layer, keys and values [N, H, T,
    K]. Grows with each `begin`; not for training."""

    def __init__(self) -> None:
        self.positions: Tensor | None = None
        self.is_piece: Tensor | None = None
        self._own: dict[int, KeyValue] = {}
        self._across: dict[int, KeyValue] = {}

    @property
    def length(self) -> int:
        """Pieces remembered in each row, padding included."""
        return 0 if self.positions is None else self.positions.shape[1]

    def begin(self, position_ids: Tensor, is_piece: Tensor) -> None:
        """Announces that U more pieces are about to be read: their positions [N, U], and which of them are no padding
        [N, U]."""
        if self.positions is None or self.is_piece is None:
            self.positions, self.is_piece = position_ids, is_piece
            return
        self.positions = torch.cat((self.positions, position_ids), dim=1)
        self.is_piece = torch.cat((self.is_piece, is_piece), dim=1)

    def visible(self, position_ids: Tensor, *, window: int | None) -> Visible:
        """Tells what the new pieces see of all: pieces at their own position and before it, at most `window` away."""
        assert self.positions is not None and self.is_piece is not None, "begin comes first"
        behind = position_ids[:, :, None] - self.positions[:, None, :]
        may_attend = (behind >= 0) & self.is_piece[:, None, :]
        if window is not None:
            may_attend = may_attend & (behind <= window)
        # A padded piece before the first one of its row sees nothing.
        return Visible(position_ids.shape[1], self.length, position_ids.device, may_attend[:, None], may_be_blind=True)

    def extended(self, layer: int, key_value: KeyValue) -> KeyValue:
        """Returns keys and values of all pieces at a layer, with those of the new ones added."""
        if layer in self._own:
            before = self._own[layer]
            key_value = (torch.cat((before[0], key_value[0]), dim=2), torch.cat((before[1], key_value[1]), dim=2))
        self._own[layer] = key_value
        return key_value

    def across(self, layer: int) -> KeyValue | None:
        """Returns keys and values of an encoder at a layer, where they were kept."""
        return self._across.get(layer)

    def keep_across(self, layer: int, key_value: KeyValue) -> None:
        """Keeps keys and values of an encoder at a layer; they do not change while a text is written."""
        self._across[layer] = key_value

    def reorder(self, rows: Tensor) -> None:
        """Makes row n what row `rows[n]` was, for beams; rows [M]."""
        if self.positions is not None and self.is_piece is not None:
            self.positions, self.is_piece = self.positions[rows], self.is_piece[rows]
        for kept in (self._own, self._across):
            for layer, (key, value) in kept.items():
                kept[layer] = (key[rows], value[rows])
