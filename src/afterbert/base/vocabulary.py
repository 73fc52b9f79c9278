"""What a pretext task must know of a tokenizer: its size and its special pieces. Nothing else travels below `text`."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import flags_at


@dataclass(frozen=True)
class Vocabulary:
    """Ids of the special pieces (None if the tokenizer has none) and the number of pieces.

    `special_ids` lists every id that no selection may choose and no corruption may draw: the named ones, the
    sentinels and whatever else the tokenizer marks as special.

    >>> toy = Vocabulary(size=8, pad=0, cls=1, sep=2, mask=3, special_ids=(0, 1, 2, 3))
    >>> toy.ordinary_ids.tolist()
    [4, 5, 6, 7]
    >>> toy.need("mask")
    3
    """

    size: int
    pad: int | None = None
    unk: int | None = None
    cls: int | None = None
    sep: int | None = None
    mask: int | None = None
    bos: int | None = None
    eos: int | None = None
    sentinels: tuple[int, ...] = ()
    special_ids: tuple[int, ...] = field(default=())

    def need(self, name: str) -> int:
        """Returns the id of a special piece that the task needs. Raises UserError if it is missing."""
        found = getattr(self, name)
        if found is None:
            raise UserError(
                f"the tokenizer has no {name} token, which this task needs; add one, or train a tokenizer with "
                "`afterbert prepare`"
            )
        return int(found)

    @property
    def beginning(self) -> int | None:
        """The piece set before a text that is read from left to right, so that its first word is a continuation too;
        None if the tokenizer has no such piece."""
        return next((one for one in (self.bos, self.cls, self.eos) if one is not None), None)

    @property
    def unknown(self) -> int | None:
        """The piece for text that the tokenizer does not know. It is None if the id of that name serves for something
        else, as GPT-2's end of text does, since none is ever made."""
        return None if self.unk in (self.bos, self.eos, self.cls, self.sep, self.pad) else self.unk

    @property
    def boundaries(self) -> list[int]:
        """The special pieces without the unknown one, which stands for text."""
        return [number for number in self.special_ids if number != self.unknown]

    @cached_property
    def is_special(self) -> np.ndarray:
        """bool [size]: whether an id is special."""
        return flags_at(list(self.special_ids), self.size)

    @cached_property
    def ordinary_ids(self) -> np.ndarray:
        """int32 [size - specials]: the ids a corruption may draw."""
        return np.flatnonzero(~self.is_special).astype(np.int32)
