"""CoNLL-U, the format of Universal Dependencies (universaldependencies.org/format.html)."""

import re
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.row_files.text_file import TextFile

_FIELDS = ("form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_WORD = re.compile(r"[0-9]+\t")
_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+\t")


@dataclass(frozen=True)
class Conllu(Format):
    """One row a sentence with the columns that hold anything. Syntactic words are the words: ranges like `3-4` (the
    written form of two words) and empty nodes like `3.1` are left out. A row is named by its `sent_id`.
    """

    def claim(self, path: Path, head: str) -> int:
        """Claims ten columns of which the first counts, or a file by its ending. It is surer than CoNLL, as which such
        a file reads too."""
        if path.suffix == ".conllu":
            return 4
        lines = [line for line in head.split("\n")[:-1][:100] if line and not line.startswith("#")]
        return 4 if lines and all(line.count("\t") == 9 and line[0].isdigit() for line in lines) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        keys: list[str] = []
        sentences: list[list[list[str]]] = []
        name = ""
        words: list[list[str]] = []
        for number, line in enumerate([*TextFile.of(path).bare_lines(), ""], 1):
            if not line.strip():
                if words:
                    keys.append(name or f"{path.name}:{number - len(words)}")
                    sentences.append(words)
                name, words = "", []
            elif line.startswith("#"):
                if line.startswith("# sent_id = "):
                    name = line.removeprefix("# sent_id = ").strip()
            elif _WORD.match(line):
                cells = line.split("\t")
                if len(cells) != 10:
                    raise UserError(f"{path}:{number}: has {len(cells)} columns, CoNLL-U has 10; mend the line")
                words.append(cells[1:])
            elif not _NO_WORD.match(line):
                raise UserError(f"{path}:{number}: does not begin with a word number; is the file CoNLL-U?")
        used = [i for i in range(9) if any(word[i] != "_" for words in sentences for word in words)]
        records = ({_FIELDS[i]: tuple(word[i] for word in words) for i in used} for words in sentences)
        return Table(path, "CoNLL-U", tuple(_FIELDS[i] for i in used), tuple(records), tuple(keys))
