"""What text must be before it becomes training data: the rules and their strictness, as data and as pure functions.

Nothing is changed silently: every function returns what it did, and `Intake` (intake.py) counts it. Text is cut only
where a tokenizer or the memory would suffer (Training BPE on one run of 400,000 characters takes over a minute).
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.base.numbers import Share
from afterbert.text.files.documents import Tally

CONTROLS = "control characters made spaces"
RUNS = "spaces put into runs without white space"
INVISIBLE = "zero-width characters"
BIDI = "bidirectional controls"

_UTF8 = codecs.getincrementaldecoder("utf-8")  # which leaves out the first bytes of a character at the end
_PLAIN_ASCII = b"\t\n\r" + bytes(range(32, 127))
_ZERO_WIDTH_CHARS = "\u200b-\u200d\u2060-\u2064\ufeff"
_BIDI_CHARS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ZERO_WIDTH = re.compile(f"[{_ZERO_WIDTH_CHARS}]")
_BIDI = re.compile(f"[{_BIDI_CHARS}]")
_ODD = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_ZERO_WIDTH_CHARS}{_BIDI_CHARS}]")
# Letters and signs of the commonest scripts, of which no sequence is odd or changed by NFC (a test proves it).
_NOT_COMMON = re.compile(
    "[^\xa0-\u02ff\u0388-\u0482\u048a-\u0556\u05d0-\u05ea\u0620-\u064a\u0671-\u06d5\u1e00-\u1f6f\u2010-\u2027\u2030-\u205e"
    "\u20a0-\u20bf\u2100-\u2125\u2190-\u2328\u2500-\u2775\u3000-\u3029\u3041-\u3096\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uff01-\uff60\U0001f300-\U0001faff]"
)

# Latin, CJK (plain and full width), Devanagari, Arabic and Urdu ends of sentences.
_ENDS = tuple(end.encode() for end in (". ", "! ", "? ", "\n", "。", "！", "？", "। ", "؟ ", "۔ "))
_JOINER = "\u200d".encode()
# What belongs to the character before it and is no mark: joiners, the `am` of Thai and Lao, skin tones.
_CARRIED = frozenset("\u200c\u200d\u0e33\u0eb3\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_PAUSES = frozenset(" ,;:.!?)]}/|_-、，；：。！？）」』】》…·ฯๆ।")


class Cleaned(NamedTuple):
    """A text after cleaning, with what was repaired and what was noticed, by reason."""

    text: str
    repaired: dict[str, int]
    noticed: dict[str, int]


@dataclass(frozen=True)
class Policy:
    """The rules for broken or odd text.

    >>> Policy().clean("cafe\\u0301\\x1b[1m").text
    'café [1m'
    """

    errors: Literal["fail", "replace", "skip-document"] = "fail"
    """What happens to bytes that are not UTF-8, half characters (lone surrogates) in JSON, and broken records: stop
    with file and line; put U+FFFD in their place (broken records stop all the same); or drop the document and count
    it."""
    normalization: Literal["NFC", "NFKC", "none"] = "NFC"
    """The Unicode form of the text; NFKC also makes full-width letters and ligatures plain."""
    max_document_bytes: Annotated[int, Field(ge=100)] = 1_000_000
    """Longer documents are cut at the end of a sentence."""
    max_run_length: Annotated[int, Field(ge=10)] = 1_000
    """Longer runs of characters without white space get a space."""
    max_dropped_share: Share = 0.1
    """If a larger share of the documents is dropped, this is an error at the end."""
    near_duplicates: Annotated[float, Field(ge=0.3, le=1)] | None = None
    """Of documents that share at least this much of their runs of five words one is kept; None looks for none."""

    def is_plain(self, raw: bytes) -> bool:
        """Returns whether `clean` would change and notice nothing in any document within these bytes, if they are UTF-8
        (line ends and runs aside). A last character may be incomplete. It is fast, since every megabyte is asked."""
        others = raw.translate(None, _PLAIN_ASCII)
        if not others:
            return True
        try:
            text = _UTF8().decode(others)
            if self.normalization != "NFKC" and not _NOT_COMMON.search(text):
                return True
            return not _ODD.search(text) and self._is_normalized(_UTF8().decode(raw))
        except UnicodeDecodeError:
            return False

    def _is_normalized(self, text: str) -> bool:
        form = self.normalization
        return form == "none" or all(unicodedata.is_normalized(form, lines) for lines in _by_lines(text))

    def clean(self, text: str) -> Cleaned:
        """Returns one document's text: `\\r\\n` and `\\r` become `\\n`, control characters become spaces, then the
        Unicode form is made. Zero-width and bidirectional characters stay and are counted; U+2028 and U+2029 stay."""
        repaired: dict[str, int] = {}
        noticed: dict[str, int] = {}
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        text, controls = _CONTROL.subn(" ", text)
        if controls:
            repaired[CONTROLS] = controls
        if not text.isascii():
            if unseen := len(_ZERO_WIDTH.findall(text)):
                noticed[INVISIBLE] = unseen
            if unseen := len(_BIDI.findall(text)):
                noticed[BIDI] = unseen
            normalized = self._normalize(text)
            if normalized != text:
                repaired[f"documents brought to {self.normalization}"] = 1
                text = normalized
        return Cleaned(text, repaired, noticed)

    def _normalize(self, text: str) -> str:
        if self.normalization == "none":
            return text
        return "".join(unicodedata.normalize(self.normalization, lines) for lines in _by_lines(text))

    def break_runs(self, text: str) -> tuple[str, int]:
        """Returns the text with a space put into every run of more than `max_run_length` characters without white
        space, and the number of such runs. The space goes after the last punctuation mark within the run's last fifth,
        else at the very length, never before a combining mark.

        >>> Policy(max_run_length=10).break_runs("short words, 一二三四五六七八，九十一二三")
        ('short words, 一二三四五六七八， 九十一二三', 1)
        """
        at, begin, pieces = 0, 0, []
        while len(text) - at > self.max_run_length:
            white = _last_white(text, at, at + self.max_run_length + 1)
            if white is None:
                at = _break_point(text, at, at + self.max_run_length)
                pieces.append(text[begin:at])
                begin = at
            else:
                at = white + 1
        if not pieces:
            return text, 0
        return " ".join([*pieces, text[begin:]]), len(pieces)

    def pieces(self, raw: bytes) -> Iterator[bytes]:
        """Yields a document's UTF-8 bytes, cut into documents of at most `max_document_bytes`."""
        while len(raw) > self.max_document_bytes:
            at = cut_point(raw, self.max_document_bytes)
            yield raw[:at]
            raw = raw[at:].lstrip()
        yield raw

    def check(self, tally: Tally) -> None:
        """Raises UserError if nothing was kept, or when too large a share was dropped."""
        reasons = ", ".join(f"{why} {count:,}" for why, count in sorted(tally.dropped.items()))
        if not tally.kept:
            found = f"all {tally.documents:,} documents were dropped ({reasons})"
            nothing = f"no text was found in {sum(tally.files.values()):,} files of {tally.bytes:,} bytes in all"
            raise UserError(f"{found if reasons else nothing}; check the paths and the kind of file")
        if tally.dropped_share > self.max_dropped_share:
            raise UserError(
                f"{tally.dropped_share:.1%} of the documents were dropped ({reasons}), max_dropped_share is "
                f"{self.max_dropped_share:.0%}; mend the files or raise it (--max-dropped-share)"
            )


def cut_point(raw: bytes, limit: int) -> int:
    """Finds where to cut UTF-8 bytes longer than `limit`: behind the last end of a sentence in the second half of
    the limit, else behind white space, else between two characters that do not belong together.

    >>> text = b"First one. Second one. Third one. "
    >>> text[: cut_point(text, 30)]
    b'First one. Second one. '
    """
    ends = [at + len(end) for end in _ENDS if (at := raw.rfind(end, limit // 2, limit)) >= 0]
    if ends:
        return max(ends)
    if (space := raw.rfind(b" ", limit // 2, limit)) >= 0:
        return space + 1
    for at in range(limit, limit - 64, -1):
        if raw[at] & 0xC0 == 0x80 or raw[at - 3 : at] == _JOINER:
            continue
        if not _extends(raw[at : at + 4].decode(errors="ignore")[:1]):
            return at
    return limit - next(back for back in range(4) if raw[limit - back] & 0xC0 != 0x80)


def _extends(character: str) -> bool:
    """Whether this character (or none) belongs to the one before: marks, vowel signs, joiners, variation selectors,
    Hangul vowels and tails."""
    is_mark = unicodedata.category(character or "a")[0] == "M"
    return is_mark or character in _CARRIED or "\u1160" <= character <= "\u11ff"


def _last_white(text: str, start: int, stop: int) -> int | None:
    """Where the last space stands in text[start:stop]; without one, the last white space of any kind; None if there is
    none."""
    if (space := text.rfind(" ", start, stop)) >= 0:
        return space
    window = text[start:stop]
    if window[-1].isspace():
        return stop - 1
    last_run = window.rsplit(None, 1)[-1]
    return stop - len(last_run) - 1 if len(last_run) < len(window) else None


def _break_point(text: str, start: int, stop: int) -> int:
    last_fifth = stop - (stop - start) // 5
    for at in range(stop, last_fifth, -1):
        if text[at - 1] in _PAUSES and not _extends(text[at]):
            return at
    for at in range(stop, last_fifth, -1):
        if not _extends(text[at]) and text[at - 1] != "\u200d":
            return at
    return stop


def _by_lines(text: str) -> Iterator[str]:
    """The text in stretches of whole lines, 4096 characters or more. Normalizing them one by one is the
    same, as nothing composes with a newline, and keeps the slow path of `unicodedata` (any text with a loose
    accent) to where it is needed."""
    at = 0
    while at < len(text):
        end = text.find("\n", at + 4096) + 1 or len(text)
        yield text[at:end]
        at = end
