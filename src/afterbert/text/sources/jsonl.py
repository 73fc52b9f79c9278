"""JSON lines: one object a line, the text under one of its keys."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from afterbert.text.files.documents import Document
from afterbert.text.files.intake import Intake
from afterbert.text.files.streams import lines, near_name, shown
from afterbert.text.sources import SourcePart
from afterbert.text.sources._file import FileSource


class _Refused(ValueError):
    """Something Python's json would let pass."""


@dataclass(frozen=True, kw_only=True)
class Jsonl(FileSource):
    """One JSON object a line. Strict: repeated keys, NaN and a text that is no string are refused, with their line."""

    extensions: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".jsonlines")
    text_key: str = "text"
    """The key of the text."""
    id_key: str = "id"
    """The key of the document's own id, if it has one."""
    language_key: str | None = None
    """The key of its language; every object must then have it. Blank lines are passed over."""

    def _documents(self, part: SourcePart, intake: Intake, chunks: Iterator[tuple[int, bytes]]) -> Iterator[Document]:
        decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
        for offset, raw in lines(chunks, self.path):
            offset += len(raw) - len(raw.lstrip())
            raw = raw.strip()
            line = intake.decoded(raw, offset) if raw else None
            if line is None:
                continue
            try:
                record, end = decoder.raw_decode(line)
                if end < len(line):
                    raise json.JSONDecodeError("extra data", line, end)
            except json.JSONDecodeError as error:
                found = f"not a JSON object: {error.msg.removesuffix(' at')} at column {error.colno}"
                intake.broken(offset, found, _remedy(error))
            except _Refused as error:
                intake.broken(offset, str(error), "mend the line")
            except ValueError:  # Python converts no more than 4300 digits to an integer.
                intake.broken(offset, "a number is too long", "mend the line")
            except RecursionError:
                intake.broken(offset, "the object is nested too deeply", "mend the line")
            else:
                yield from self._document(record, offset, intake)

    def _document(self, record: Any, offset: int, intake: Intake) -> Iterable[Document]:
        if not isinstance(record, dict):
            found = f"the line holds {_a(record)}, not a JSON object"
            intake.broken(offset, found, f'write {{"{self.text_key}": "..."}} on each line')
            return ()
        text = self._string(record, self.text_key, offset, intake)
        if text is None:
            return ()
        language = None
        if self.language_key:
            language = self._string(record, self.language_key, offset, intake)
            if language is None:
                return ()
            language = _whole(language)
        own = record.get(self.id_key)
        id = _whole(str(own)) if isinstance(own, (str, int)) else None
        return intake.documents(text, offset, id=id, language=language)

    def _string(self, record: dict[str, Any], key: str, offset: int, intake: Intake) -> str | None:
        value = record.get(key)
        if isinstance(value, str):
            return value
        if key in record:
            intake.broken(offset, f"'{key}' is {_a(value)}, not a string", "name the key that holds the text")
        else:
            intake.broken(offset, f"no key '{key}'", near_name(key, record))
        return None


def _whole(word: str) -> str:
    """The word without halves of characters (lone surrogates)."""
    return word.encode(errors="replace").decode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Refused(f"the key '{shown(twice)[:40]}' stands twice in one object")
    return made


def _refuse_constant(literal: str) -> None:
    raise _Refused(f"{literal} is not JSON")


def _remedy(error: json.JSONDecodeError) -> str:
    at_end = error.pos >= len(error.doc) or error.msg.startswith("Unterminated")
    return "is the line cut off?" if at_end else "mend the line, or read the file as another kind"


def _a(value: Any) -> str:
    """
    >>> _a([1]), _a(None), _a(True)
    ('a list', 'null', 'a truth value')
    """
    names = {list: "a list", dict: "an object", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
