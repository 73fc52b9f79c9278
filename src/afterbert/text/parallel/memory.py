"""Translation memories and catalogues (TMX, XLIFF, gettext's .po), read by translate-toolkit (extra `languages`)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.text.files.streams import extension_of, shown
from afterbert.text.parallel import PairReader, RawPair, numbered_lines

# Elements whose content is code of the text's own format: of TMX 1.4 and of XLIFF 1.2.
_CODES = {"bpt", "ept", "ph", "it", "ut"}
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class TranslationMemory(PairReader):
    """Reads translation memories. From TMX it takes the units that have both languages, from other formats source and
    target. What is not translated, or is marked as doubtful (fuzzy), is passed over."""

    extensions: ClassVar[tuple[str, ...]] = (".tmx", ".xlf", ".xliff", ".po")

    def __call__(self, paths: tuple[str, ...], languages: tuple[str, str]) -> Iterator[RawPair]:
        path, is_tmx = paths[0], extension_of(paths[0]) == ".tmx"
        store = _opened(path)
        if not is_tmx:
            _check_told((store.getsourcelanguage(), store.gettargetlanguage()), languages, path)
        for unit in store.units:
            line = int(getattr(getattr(unit, "xmlelement", None), "sourceline", None) or unit.line_number or 0)
            if is_tmx:
                nodes = [(node.get(_LANGUAGE) or node.get("lang"), node) for node in unit.getlanguageNodes()]
                texts = {str(code).lower().replace("_", "-"): _plain(node.find("{*}seg")) for code, node in nodes}
                one, other = (_in(texts, language) for language in languages)
            elif unit.isheader() or _is_doubtful(unit):
                continue
            elif (element := getattr(unit, "xmlelement", None)) is not None:
                one, other = (_plain(element.find(side)) for side in ("{*}source", "{*}target"))
            else:
                one, other = unit.source, unit.target
            if one and other:
                yield RawPair(line, str(one), str(other))


def _check_told(told: tuple[str | None, str | None], languages: tuple[str, str], path: str) -> None:
    """Raises UserError where a file says that it is in other languages; of codes with two letters only, for one
    language may have one of two and one of three."""
    said = [re.split("[-_@.]", code or "")[0].lower() for code in told]
    for code, language in zip(said, languages):
        if len(code) == 2 == len(primary := language.partition("-")[0]) and code != primary:
            right = "+".join(one or named for one, named in zip(said, languages))
            raise UserError(f"{shown(path)} says that it is in {code}, not in {language}; name it so: {right}=FILE")


def _is_doubtful(unit: Any) -> bool:
    """Whether a unit is marked so. translate-toolkit doubts each unit of XLIFF that does not say `approved`."""
    element = getattr(unit, "xmlelement", None)
    if element is None:
        return bool(unit.isfuzzy())
    marks = [element.get("approved"), *(node.get("state") for node in element.iterchildren("{*}target"))]
    return any(mark == "no" or str(mark).startswith(("needs-", "new")) for mark in marks)


def _plain(node: Any) -> str:
    """The words of a segment, without the codes of its format that stand in elements of their own."""
    if node is None:
        return ""
    said = node.text or ""
    for child in node:
        if isinstance(child.tag, str) and child.tag.rpartition("}")[2] not in _CODES:  # a comment's tag is no text
            said += _plain(child)
        said += child.tail or ""
    return said


def _in(texts: dict[str, Any], language: str) -> str | None:
    """The text in a language: exactly, or in one of its regions (en-US for en)."""
    wanted = language.lower()
    near = [code for code in texts if code == wanted or code.startswith(wanted + "-")]
    return texts[min(near, key=len)] if near else None


def _opened(path: str) -> Any:
    factory = from_extra("translate.storage.factory", "languages", needed_by=shown(path))
    from lxml.etree import XMLSyntaxError  # which that one brings

    try:
        return factory.getobject(path)
    except UnicodeDecodeError:
        for _ in numbered_lines(path):  # says the line
            pass
        raise UserError(f"{shown(path)}: not readable in the charset that it names; convert the file") from None
    except (XMLSyntaxError, ValueError, AssertionError) as error:
        said = next(iter(str(error).splitlines()), f"it is no {extension_of(path)} inside")
        found = re.search(r"\bline (\d+)", said)
        remedy = "save it as XLIFF 1.2" if "XLIFF 2" in said else "mend the file"
        said = shown(re.split(r" \(<|\. Please", said)[0][:200])
        raise UserError(f"{shown(path)}{f':{found[1]}' if found else ''}: not readable: {said}; {remedy}") from None
