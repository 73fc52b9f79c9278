"""Texts named by their language, `en=PATH`, as sources; what may be wrong with them is said before anything is made."""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import LANGUAGES, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.files.streams import Place, located
from afterbert.text.from_paths import sources_for
from afterbert.text.language_codes import check_code
from afterbert.text.pieces.changes import script_of
from afterbert.text.sources import Source
from afterbert.text.sources.parallel import ParallelText

# Scripts that one language writes side by side.
_TOGETHER = {"Hiragana": "CJK", "Katakana": "CJK", "Katakana-hiragana": "CJK", "Hangul": "CJK", "Bopomofo": "CJK"}
_LOOKED_AT, _MUCH = 500, 0.2


def sources_by_language(named: Sequence[str], **options: Any) -> list[Source]:
    """Returns the sources of texts that are named with their language (`is=PATH`). options: as `sources_for` takes
    them. Raises UserError for an unknown code or one in two spellings, for one file under two languages and for a
    language without text; warns of a file that mixes scripts."""
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
    written: dict[str, str] = {}
    for code in (one for codes, _, _ in found for one in codes.split(LANGUAGES)):
        if (other := written.setdefault(code.lower(), code)) != code:
            raise UserError(f"'{code}' and '{other}' are one language; write it in one way")
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
    if len(paths) > 2 or not all(paths):
        raise UserError(f"--lang {code}={path}: a pair of languages has one file, or two with a comma between")
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
