"""Translation memories and catalogues (TMX, XLIFF, gettext's .po), read by translate-toolkit (extra `languages`)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.text.files.streams import extension_of, shown
from afterbert.text.parallel import PairReader, RawPair, numbered_lines

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class TranslationMemory(PairReader):
    """Reads translation memories. From TMX it takes the units that have both languages, from other formats source and
    target. What is not translated, or is marked as doubtful (fuzzy), is passed over."""

    extensions: ClassVar[tuple[str, ...]] = (".tmx", ".xlf", ".xliff", ".po")

    def __call__(self, paths: tuple[str, ...], languages: tuple[str, str]) -> Iterator[RawPair]:
        path = paths[0]
        for unit in _units(path):
            line = int(getattr(getattr(unit, "xmlelement", None), "sourceline", None) or unit.line_number or 0)
            if extension_of(path) == ".tmx":
                texts = {str(node.get(_LANGUAGE)).lower(): unit.getNodeText(node) for node in unit.getlanguageNodes()}
                one, other = (_in(texts, language) for language in languages)
            else:
                one, other = ("", "") if unit.isheader() or unit.isfuzzy() else (unit.source, unit.target)
            if one and other:
                yield RawPair(line, str(one), str(other))


def _in(texts: dict[str, Any], language: str) -> str | None:
    """The text in a language: exactly, or in one of its regions (en-US for en)."""
    wanted = language.lower()
    near = [code for code in texts if code == wanted or code.startswith((wanted + "-", wanted + "_"))]
    return texts[min(near, key=len)] if near else None


def _units(path: str) -> list[Any]:
    factory = from_extra("translate.storage.factory", "languages", needed_by=shown(path))
    from lxml.etree import XMLSyntaxError  # which that one brings

    try:
        return list(factory.getobject(path).units)
    except UnicodeDecodeError:
        for _ in numbered_lines(path):  # says the line
            pass
        raise UserError(f"{shown(path)}: not readable in the charset that it names; convert the file") from None
    except (XMLSyntaxError, ValueError) as error:
        said = str(error).splitlines()[0]
        found = re.search(r"\bline (\d+)", said)
        raise UserError(
            f"{shown(path)}{f':{found[1]}' if found else ''}: not readable: {said.partition(' (<')[0]}; mend the file"
        ) from None
