"""Codes of languages, as ISO 639 has them."""

import re
from difflib import get_close_matches

from afterbert.base.errors import UserError

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_ISO_639_1 = (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo "
    "es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka "
    "kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng "
    "nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st "
    "su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
#: A code of three letters is taken as it is.
TWO_LETTERS = tuple(_ISO_639_1.split())
# What is often written for a code: a country's, or the language's English name.
_MEANT = (
    "jp:ja cn:zh gr:el dk:da cz:cs ua:uk vn:vi iw:he rs:sr gb:en us:en at:de mx:es english:en german:de french:fr "
    "spanish:es icelandic:is chinese:zh japanese:ja russian:ru portuguese:pt italian:it dutch:nl swedish:sv danish:da "
    "norwegian:no finnish:fi polish:pl czech:cs greek:el turkish:tr arabic:ar hindi:hi thai:th korean:ko ukrainian:uk"
)


def check_code(code: str) -> str:
    """Gives the code back. Raises UserError if it is no language's.

    >>> check_code("zh-Hant")
    'zh-Hant'
    >>> check_code("jp")
    Traceback (most recent call last):
    afterbert.base.errors.UserError: 'jp' is no language code of ISO 639; did you mean 'ja'?
    """
    primary = code.partition("-")[0]
    if not _CODE.fullmatch(code) or (len(primary) == 2 and primary not in TWO_LETTERS):
        first = re.split("[-_ ]", code.lower())[0]
        meant = dict(pair.split(":") for pair in _MEANT.split()).get(first)
        near = meant or next(iter(get_close_matches(first, TWO_LETTERS, n=1, cutoff=0.5)), None)
        rest = re.sub("^[A-Za-z]+[-_ ]?", "-", code).rstrip("-") if near and len(first) == 2 else ""
        asked = f"did you mean '{near}{rest}'?" if near else "write en, is or zh-Hant"
        raise UserError(f"'{code}' is no language code of ISO 639; {asked}")
    return code


def check_codes(language: str | None) -> None:
    """Raises UserError for an unknown code in `--language a,b`; with `by-name` the files' names hold the codes."""
    for code in (language or "").split(",") if language not in (None, "by-name") else ():
        check_code(code.strip())
