"""Texts named by their language, `en=PATH`, as sources; what may be wrong with them is said before anything is made."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import LANGUAGES, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.files.streams import Place, located
from afterbert.text.from_paths import sources_for
from afterbert.text.pieces.changes import script_of
from afterbert.text.sources import Source
from afterbert.text.sources.parallel import ParallelText

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
# ISO 639-1; a code of three letters is taken as it is.
_TWO_LETTERS = (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo "
    "es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka "
    "kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng "
    "nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st "
    "su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
# What is often written for a code: a country's, or the language's English name.
_MEANT = (
    "jp:ja cn:zh gr:el dk:da cz:cs ua:uk vn:vi iw:he rs:sr gb:en us:en at:de mx:es english:en german:de french:fr "
    "spanish:es icelandic:is chinese:zh japanese:ja russian:ru portuguese:pt italian:it dutch:nl swedish:sv danish:da "
    "norwegian:no finnish:fi polish:pl czech:cs greek:el turkish:tr arabic:ar hindi:hi thai:th korean:ko ukrainian:uk"
)
# Scripts that one language writes side by side.
_TOGETHER = {"Hiragana": "CJK", "Katakana": "CJK", "Katakana-hiragana": "CJK", "Hangul": "CJK", "Bopomofo": "CJK"}
_LOOKED_AT, _MUCH = 500, 0.2


def check_code(code: str) -> str:
    """Gives the code back. Raises UserError if it is no language's.

    >>> check_code("zh-Hant")
    'zh-Hant'
    >>> check_code("jp")
    Traceback (most recent call last):
    afterbert.base.errors.UserError: 'jp' is no language code of ISO 639; did you mean 'ja'?
    """
    primary, known = code.partition("-")[0], _TWO_LETTERS.split()
    if not _CODE.fullmatch(code) or (len(primary) == 2 and primary not in known):
        first = re.split("[-_ ]", code.lower())[0]
        meant = dict(pair.split(":") for pair in _MEANT.split()).get(first)
        near = meant or next(iter(get_close_matches(first, known, n=1, cutoff=0.5)), None)
        rest = re.sub("^[A-Za-z]+[-_ ]?", "-", code).rstrip("-") if near and len(first) == 2 else ""
        asked = f"did you mean '{near}{rest}'?" if near else "write en, is or zh-Hant"
        raise UserError(f"'{code}' is no language code of ISO 639; {asked}")
    return code


def check_codes(language: str | None) -> None:
    """Raises UserError for an unknown code in `--language a,b`; with `by-name` the files' names hold the codes."""
    for code in (language or "").split(",") if language not in (None, "by-name") else ():
        check_code(code.strip())


def sources_by_language(named: Sequence[str], **options: Any) -> list[Source]:
    """Returns the sources of texts that are named with their language (`is=PATH`). options: as `sources_for` takes
    them. Raises UserError for an unknown code, for one file under two languages and for a language without text; warns
    of a file that mixes scripts."""
    found: list[tuple[str, str, Source]] = []
    for one in named:
        code, equals, path = one.partition("=")
        if not equals or not path:
            raise UserError(f"--lang is '{one}', must be CODE=PATH, such as is=texts/icelandic.txt")
        if LANGUAGES in code:
            found.append((code, path, _parallel(code, path)))
            continue
        options["language"] = check_code(code)
        found += [(code, path, source) for source in sources_for([path], **options)]
    _check_different(found)
    filled = {code for code, path, source in found if _look_at(code, path, source)}
    for code, path, _ in found:
        if code not in filled:
            raise UserError(f"{path} holds no text, so the language {code} has none; leave it out, or mend it")
    return [source for _, _, source in found]


def _parallel(code: str, path: str) -> ParallelText:
    """The source of `en+is=FILE` or `en+is=FILE,FILE`. Raises UserError."""
    codes = [check_code(one) for one in code.split(LANGUAGES)]
    if len(set(codes)) != 2:
        raise UserError(f"--lang {code}={path}: a pair has two different languages, as in en+is=FILE")
    paths = [path] if os.path.exists(path) else path.split(",")
    if len(paths) > 2:
        raise UserError(f"--lang {code}={path} names {len(paths)} files; a pair of languages has one, or two")
    for one in paths:
        if not os.path.isdir(one):
            streams.size_of(one)
    return ParallelText(paths[0], paths[1] if len(paths) > 1 else None, languages=code)


def _check_different(found: Sequence[tuple[str, str, Source]]) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for code, path, source in (side for one in found for side in _sides(*one)):
        for digest in source.digest().values():
            other, where = seen.setdefault(digest.partition(" language")[0], (code, path))
            if other != code and not digest.startswith("0-"):  # without a byte in it
                raise UserError(
                    f"{path} is named as {code}, and as {other} ({where}); name each file under one language"
                )


def _sides(code: str, path: str, source: Source) -> list[tuple[str, str, Source]]:
    """Two files of a pair apart, for each has one language and may stand in other pairs too; another source as it
    is."""
    if not isinstance(source, ParallelText) or source.other is None:
        return [(code, path, source)]
    return [(one, side, ParallelText(side)) for one, side in zip(code.split(LANGUAGES), source.paths)]


def _look_at(code: str, path: str, source: Source) -> int:
    """How many of the first documents there are. Warns where they are of several scripts."""
    if isinstance(source, ParallelText):
        return 1  # it is read as a whole in any case
    tally, count = Tally(), 0
    scripts: Counter[str] = Counter()
    first: dict[str, Place] = {}
    documents = (one for part in source.parts(1 << 20) for one in part.documents(Policy(errors="replace"), tally))
    for document in islice(documents, _LOOKED_AT):
        count += 1
        letters = Counter(filter(str.isalpha, document.text[:2000]))
        own: Counter[str] = Counter()
        for letter, times in letters.items():
            script = script_of(letter)
            own[_TOGETHER.get(script, script)] += times
        if own:
            first.setdefault(max(own, key=own.__getitem__), document.place)
        scripts += own
    for script, letters_of in scripts.most_common()[1:]:
        if letters_of > _MUCH * scripts.total():
            usual = scripts.most_common(1)[0][0]
            at = f"; first at {located(first[script])}" if script in first else ""
            warnings.warn(
                f"{path} is named as {code}, but {letters_of / scripts.total():.0%} of its letters are {script}, "
                f"most others {usual}{at}; if these are two languages, put each into a file of its own",
                stacklevel=4,
            )
    return count
