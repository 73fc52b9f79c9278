"""A dictionary as people hold it: a word and its translation in each line."""

import unicodedata
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_text


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """Returns pairs of words from a file, in NFC. Each line holds a word, a tab or spaces (as MUSE has it, and then
    nothing else), and its translation. Raises UserError."""
    pairs = []
    text = unicodedata.normalize("NFC", read_text(path, remedy="name a file of word pairs"))
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            continue
        if len(words) < 2 or ("\t" not in line and len(words) > 2) or not (words[0].strip() and words[1].strip()):
            raise UserError(f"{path}:{number}: is no word and its translation; write both, with a tab between")
        pairs.append((words[0].strip().lower(), words[1].strip().lower()))
    if not pairs:
        raise UserError(f"{path} holds no pair of words; write a word, a tab and its translation in each line")
    return list(dict.fromkeys(pairs))
