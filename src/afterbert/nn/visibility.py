"""From the symbolic rule of who may attend to whom to what an attention kernel wants.

Two steps. In numpy, when a batch is made, `padded_visibility` lays the rule of ragged rows over the padded matrix: a
few arrays of [B] or [B, T], none at all where everybody sees everybody. On the device `PaddedVisibility.of` picks them
up, and `visible` turns them, once a forward pass, into nothing, `is_causal`, or booleans [B, 1, T, T].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import and_

import numpy as np
import torch
from torch import Tensor

from afterbert.base.rows import Rows
from afterbert.base.visibility import Visibility

_PREFIX = "visible_"


def padded_visibility(visibility: Visibility, rows: Rows, *, length: int) -> dict[str, np.ndarray]:
    """Returns the rule as arrays for `PaddedVisibility.of`, for rows padded on the right to `length`.

    A padded piece may attend to what the last piece of its row may attend to; nobody may attend to it.

    >>> rows = Rows.of("a b c", "a")
    >>> {name: array.tolist() for name, array in padded_visibility(Visibility(), rows, length=3).items()}
    {'visible_lengths': [3, 1]}
    >>> {name: array.tolist() for name, array in padded_visibility(Visibility("reverse"), rows, length=3).items()}
    {'visible_lengths': [3, 1], 'visible_first': [[0, 1, 2], [0, 0, 0]], 'visible_end': [[3, 3, 3], [1, 1, 1]]}
    """
    arrays: dict[str, np.ndarray] = {}
    if (rows.lengths < length).any():
        arrays["lengths"] = np.maximum(rows.lengths, 1)
    if visibility.documents is not None:
        arrays["documents"] = _laid(visibility.documents, rows, length)
    if visibility.kind == "causal":
        arrays["causal"] = np.zeros(0, dtype=bool)  # its presence says it
    elif visibility.kind == "permutation":
        assert visibility.rank is not None
        arrays["rank"] = _laid(visibility.rank, rows, length)
    elif visibility.kind != "full":
        first, end = _intervals(visibility, rows)
        arrays["first"], arrays["end"] = _laid(first, rows, length), _laid(end, rows, length)
    return {_PREFIX + name: array for name, array in arrays.items()}


def _laid(values: np.ndarray, rows: Rows, length: int) -> np.ndarray:
    """Flat values [T] as [B, length], filled up with that of the row's last piece."""
    place = np.minimum(np.arange(length), np.maximum(rows.lengths - 1, 0)[:, None])
    return values[np.minimum(rows.row_starts[:-1, None] + place, max(rows.num_pieces - 1, 0))]


def _intervals(visibility: Visibility, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """For each piece [T] the first place in its row that it may attend to, and the one after the last."""
    here, lengths = rows.position_in_row, rows.lengths[rows.row_of]
    kinds = np.broadcast_to(np.array(visibility.kind), (len(rows),))[rows.row_of]
    assert np.isin(kinds, ("full", "causal", "reverse", "prefix")).all(), "rows of other kinds cannot be mixed"
    first = np.where(kinds == "reverse", here, 0)
    end = np.where(kinds == "causal", here + 1, lengths)
    if visibility.prefix_lengths is not None:
        prefix = np.maximum(visibility.prefix_lengths[rows.row_of], here + 1)
        end = np.where(kinds == "prefix", prefix, end)
    else:
        assert not (kinds == "prefix").any(), "prefix visibility needs prefix_lengths"
    return first, end


@dataclass(frozen=True)
class Visible:
    """The visibility in the form the kernel needs, for U queries and T keys: `may_attend` (bool, broadcastable to [B,
    H, U, T]; None: all), or `is_causal`."""

    num_queries: int
    num_keys: int
    device: torch.device
    may_attend: Tensor | None = None
    is_causal: bool = False
    may_be_blind: bool = False
    _made: dict[torch.dtype, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def as_booleans(self) -> Tensor | None:
        """Returns who may attend to whom, bool, broadcastable to [B, H, U, T]; None if all may attend to all."""
        if not self.is_causal:
            return self.may_attend
        return torch.ones(self.num_queries, self.num_keys, dtype=torch.bool, device=self.device).tril()

    def with_memory(self, is_remembered: Tensor) -> Visible:
        """Puts keys in front, which all queries of a row see where `is_remembered` bool [B, M], and no others."""
        rows, places = is_remembered.shape
        own = self.as_booleans()
        if own is None:
            own = is_remembered.new_ones(1, self.num_keys)
        own = own.expand(rows, 1, own.shape[-2], self.num_keys)
        before = is_remembered[:, None, None].expand(rows, 1, own.shape[-2], places)
        may_attend = torch.cat((before, own), dim=-1)
        num_keys = self.num_keys + places
        return Visible(self.num_queries, num_keys, self.device, may_attend, may_be_blind=self.may_be_blind)

    def at(self, query_positions: Tensor) -> Visible:
        """Takes the queries at these places [B, Q] of their rows only."""
        may_attend = self.as_booleans()
        if may_attend is not None:
            full = may_attend.expand(len(query_positions), 1, self.num_queries, self.num_keys)
            index = query_positions[:, None, :, None].expand(-1, 1, -1, self.num_keys)
            may_attend = full.gather(2, index)
        return Visible(query_positions.shape[1], self.num_keys, self.device, may_attend, may_be_blind=self.may_be_blind)

    def sighted(self) -> Tensor | None:
        """Returns the queries that see anything, bool [B, 1, U, 1]; None if all do."""
        return self.may_attend.any(-1, keepdim=True) if self.may_be_blind and self.may_attend is not None else None

    def as_added(self, dtype: torch.dtype) -> Tensor | None:
        """Gives the rule as 0 or the most negative number, to be added to scores; made once for all layers.
        Queries that see nothing get 0 everywhere: on a GPU a row of nothing but the most negative number may come
        out as NaN, in the result and in every gradient, whatever it is multiplied with afterwards."""
        if dtype not in self._made:
            may_attend, sighted = self.as_booleans(), self.sighted()
            if may_attend is None:
                return None
            if sighted is not None:
                may_attend = may_attend | ~sighted
            hidden = torch.zeros(may_attend.shape, dtype=dtype, device=self.device)
            self._made[dtype] = hidden.masked_fill_(~may_attend, torch.finfo(dtype).min)
        return self._made[dtype]


@dataclass(frozen=True)
class PaddedVisibility:
    """The rule for a padded batch, on the device. All that is given must hold; nothing given: all see all.

    lengths: [B], pieces of each row; documents: [B, T], attend within equal numbers; causal: present or not;
    first, end: [B, T], attend to places in [first, end); rank: [B, T], attend to ranks at most one's own.
    """

    lengths: Tensor | None = None
    documents: Tensor | None = None
    causal: Tensor | None = None
    first: Tensor | None = None
    end: Tensor | None = None
    rank: Tensor | None = None

    @staticmethod
    def of(arrays: Mapping[str, Tensor]) -> PaddedVisibility | None:
        """Returns the rule among a batch's arrays on the device; None if it left no array: all see all."""
        names = [part.name for part in fields(PaddedVisibility) if _PREFIX + part.name in arrays]
        return PaddedVisibility(**{name: arrays[_PREFIX + name] for name in names}) if names else None

    @property
    def is_only_padding(self) -> bool:
        """Whether it says no more than where the rows end."""
        others = (self.documents, self.causal, self.first, self.end, self.rank)
        return all(other is None for other in others)

    @staticmethod
    def left_to_right(device: torch.device, lengths: Tensor | None = None) -> PaddedVisibility:
        """Returns the rule that every piece attends to itself and to those before it. Right padding needs no more:
        nobody looks right."""
        return PaddedVisibility(lengths, causal=torch.zeros(0, dtype=torch.bool, device=device))

    @staticmethod
    def from_attention_mask(attention_mask: Tensor) -> PaddedVisibility:
        """Takes Hugging Face's `attention_mask` [B, T], 1 for pieces and 0 for padding, which stands on the right:
        only the lengths are kept. `interop.reading.Packing` brings other rows into this form."""
        return PaddedVisibility(lengths=attention_mask.sum(dim=1))


def visible(
    visibility: PaddedVisibility | None,
    length: int,
    device: torch.device,
    *,
    window: int | None = None,
    strictly: bool = False,
) -> Visible:
    """Returns the kernel's form among `length` pieces. `window`: only places at most this far away (ModernBERT's local
    layers); `strictly`: only ranks below one's own (XLNet's query stream)."""
    rule = visibility or PaddedVisibility()
    reach = length if window is None else window
    far = reach < length - 1
    if rule.causal is not None and rule.documents is None and not far:
        return Visible(length, length, device, is_causal=True)
    place = torch.arange(length, device=device)
    conditions: list[Tensor] = []
    if rule.lengths is not None:
        conditions.append((place < rule.lengths[:, None])[:, None, None, :])
    if rule.causal is not None:
        conditions.append((place <= place[:, None])[None, None])
    if far:
        conditions.append(((place - place[:, None]).abs() <= reach)[None, None])
    if rule.first is not None and rule.end is not None:
        conditions.append(((place >= rule.first[..., None]) & (place < rule.end[..., None]))[:, None])
    if rule.documents is not None:
        conditions.append((rule.documents[:, None, :] == rule.documents[:, :, None])[:, None])
    if rule.rank is not None:
        mine, theirs = rule.rank[:, :, None], rule.rank[:, None, :]
        conditions.append((theirs < mine if strictly else theirs <= mine)[:, None])
    may_attend = reduce(and_, conditions) if conditions else None
    return Visible(length, length, device, may_attend, may_be_blind=strictly)


def visible_across(
    visibility: PaddedVisibility | None, num_queries: int, num_keys: int, device: torch.device
) -> Visible:
    """Returns the kernel's form for a decoder's look at the encoder's rows: everything but padding."""
    there = is_piece(visibility, num_keys)
    return Visible(num_queries, num_keys, device, None if there is None else there[:, None, None, :])


def is_piece(visibility: PaddedVisibility | None, length: int) -> Tensor | None:
    """Returns which places are no padding, bool [B, T]; None if none are, as far as the rule knows."""
    if visibility is None or visibility.lengths is None:
        return None
    return torch.arange(length, device=visibility.lengths.device) < visibility.lengths[:, None]
