"""The special pieces that a tokenizer sets around texts."""

from __future__ import annotations

from dataclasses import dataclass

from afterbert.text.pieces.tokenizer import Tokenizer

# Any text that every tokenizer has a piece for.
_SHORT = "a"


@dataclass(frozen=True)
class Frame:
    """Special pieces before, between and behind one or two texts; segments: of the five parts in order, one
    number each."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    behind: tuple[int, ...]
    segments: tuple[int, int, int, int, int]

    @property
    def num_specials(self) -> int:
        return len(self.before) + len(self.between) + len(self.behind)

    @staticmethod
    def of(tokenizer: Tokenizer, *, is_pair: bool = False) -> Frame:
        """Returns the frame of one text, or of two, read from what the tokenizer makes of short ones."""
        found = tokenizer.plain.encode(_SHORT, _SHORT if is_pair else None)
        text_of = [-1 if number is None else number for number in found.sequence_ids]
        last_text = int(is_pair)
        first_at = text_of.index(0)
        first_end = len(text_of) - text_of[::-1].index(0)
        second_at = text_of.index(1) if is_pair else first_end
        end = len(text_of) - text_of[::-1].index(last_text)
        types = found.type_ids
        behind = types[end:] or [types[end - 1]]
        return Frame(
            before=tuple(found.ids[:first_at]),
            between=tuple(found.ids[first_end:second_at]),
            behind=tuple(found.ids[end:]),
            segments=(
                types[0],
                types[first_at],
                types[first_end] if first_end < second_at else types[first_at],
                types[second_at] if is_pair else types[first_at],
                behind[0],
            ),
        )
