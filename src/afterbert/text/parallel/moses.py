"""Two files of which line n of one is the translation of line n of the other, as Moses and OPUS give them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from afterbert.base.errors import UserError
from afterbert.text.files.streams import shown
from afterbert.text.parallel import PairReader, RawPair, numbered_lines


@dataclass(frozen=True)
class Moses(PairReader):
    """Lines of two files. Raises UserError if one has more than the other."""

    def __call__(self, paths: tuple[str, ...], languages: tuple[str, str]) -> Iterator[RawPair]:
        one, other = paths
        for mine, yours in zip_longest(numbered_lines(one), numbered_lines(other)):
            if mine is None or yours is None:
                longer, (line, _), shorter = (one, mine, other) if yours is None else (other, yours, one)
                raise UserError(
                    f"{shown(longer)}:{line}: this line has no partner, {shown(shorter)} ends at line {line - 1}; "
                    "both files must have as many lines"
                )
            yield RawPair(mine[0], mine[1], yours[1])
