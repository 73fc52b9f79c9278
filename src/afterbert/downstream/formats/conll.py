"""CoNLL: one word a line with its tags behind it, an empty line between sentences."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.reading.words import words_in
from afterbert.downstream.row_files.text_file import TextFile

_TAG = re.compile(r"O|[BIESLU]-\S+")
# Phrases of the Penn Treebank, as CoNLL-2000 and CoNLL-2003 tag them beside the entities.
_HEADER = {"id", "sentence", "word", "words", "token", "tokens", "form", "lemma", "pos", "upos", "xpos", "chunk"}
_HEADER |= {"tag", "tags", "label", "labels", "ner", "ner_tags", "pos_tags", "entity"}
_CHUNKS = {"NP", "VP", "PP", "ADJP", "ADVP", "SBAR", "CONJP", "INTJ", "LST", "PRT", "UCP"}


# Words of Thai, Chinese or Japanese have fewer letters than this on average, sentences more.
_MOST_LETTERS = 5


@dataclass(frozen=True)
class Conll(Format):
    """Columns are called `1`, `2`, ... as they stand in the file, separated by tabs or else by spaces. What they hold
    is looked at: the words' column is listed first and the tags' last, whether a counter stands before them
    (GermEval, Universal NER) or an annotator behind. `-DOCSTART-` lines, remarks above sentences (MultiCoNER's `# id`)
    and a first line that names the columns are left out.
    """

    def claim(self, path: Path, head: str) -> int:
        """Claims short lines of two or more columns in groups, or a file by its ending."""
        if path.suffix in (".conll", ".bio", ".iob", ".iob2"):
            return 3
        lines = head.split("\n")[:-1][:400]
        filled = [_cells(line, "\t" if "\t" in line else None) for line in lines if line.strip() and line[0] != "#"]
        if all(line.strip() for line in lines) or not filled:
            return 0
        if all(len(cells) == 1 for cells in filled):
            return 2 if are_words([cells[0] for cells in filled]) else 0  # sentences that are still to be tagged
        if len({len(cells) for cells in filled}) == 1 and not any(" " in cell for cells in filled for cell in cells):
            breaks = sum(not line.strip() for line in lines)
            return 3 if len(filled) > 2 * breaks else 0  # parts of speech, which have no form of their own
        tagged = sum(len(cells) > 1 and bool(_TAG.fullmatch(cells[-1])) for cells in filled)
        return 3 if tagged > 0.9 * len(filled) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        """Returns one row for each sentence; every column is a tuple of its words' values."""
        lines = list(TextFile.of(path).bare_lines())
        separator = "\t" if sum("\t" in line.strip() for line in lines) > len(lines) / 4 else None
        width = Counter(len(_cells(line, separator)) for line in lines if line.strip()).most_common(1)[0][0]
        remarks = remarks_in(lines, separator)
        sentences: list[tuple[int, list[list[str]]]] = []
        begins_new = True
        for number, line in enumerate(lines, 1):
            cells = _cells(line, separator)
            if not line.strip():
                begins_new = True
                if line:
                    findings.add("empty lines that hold spaces or tabs", f"{path.name}:{number}")
            elif stands_outside(line, cells, width, remarks):
                if names_columns(cells):
                    findings.add("lines that name the columns left out", f"{path.name}:{number}")
            elif len(cells) != width:
                findings.add("lines with another number of columns left out", f"{path.name}:{number}")
            else:
                if begins_new:
                    sentences.append((number, []))
                begins_new = False
                sentences[-1][1].append(cells)
        names = tuple(str(i + 1) for i in range(width))
        columns, others = by_role({n: [c[i] for _, s in sentences for c in s] for i, n in enumerate(names)})
        if others:
            findings.add(
                f"other columns that may hold the tags ({', '.join(others)}): column {columns[-1]} is taken, "
                f"--columns tags={others[0]} takes another",
                path.name,
            )
        records = [(number, dict(zip(names, zip(*words)))) for number, words in sentences]
        return Table.of_lines(path, "CoNLL", columns, records, has_header=False)


def _cells(line: str, separator: str | None) -> list[str]:
    """A word may be a space or hold one where tabs separate; the line's end is never a column."""
    return line.split(separator) if separator else line.split()


def are_words(cells: Sequence[str]) -> bool:
    """Returns whether cells without spaces are words, not sentences of a script that has none.

    >>> are_words(["我", "在", "北京大学"]), are_words(["我在北京大学读书。", "他住在上海。"])
    (True, False)
    """
    return sum(len(words_in(cell).words) for cell in cells) <= _MOST_LETTERS * len(cells)


def remarks_in(lines: list[str], separator: str | None) -> set[str]:
    """Returns how remarks end that have as many columns as words: they stand above most sentences and end as no word
    does."""
    firsts = [line for before, line in zip(["", *lines], lines) if line.strip() and not before.strip()]
    hashed = {_cells(line, separator)[-1] for line in firsts if line[0] == "#"}
    if 2 * sum(line[0] == "#" for line in firsts) <= len(firsts):
        return set()
    return hashed - {_cells(line, separator)[-1] for line in lines if line.strip() and line[0] != "#"}


def stands_outside(line: str, cells: list[str], width: int, remarks: Collection[str]) -> bool:
    """Returns whether a filled line holds no word: a remark, the mark of a document, the names of the columns. remarks:
    what `remarks_in` found."""
    is_remark = line[0] == "#" and (len(cells) != width or cells[-1] in remarks)
    return is_remark or cells[:1] == ["-DOCSTART-"] or names_columns(cells)


def names_columns(cells: list[str]) -> bool:
    """Returns whether cells of a line are nothing but known names of columns.

    >>> names_columns(["Word", "POS", "Tag"]), names_columns(["word", "B-LOC"]), names_columns(["word"])
    (True, False, False)
    """
    return len(cells) > 1 and _HEADER.issuperset(cell.lower() for cell in cells)


def by_role(cells: dict[str, list[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the columns, that of the words first and that of the tags last, and further ones that may hold the tags.

    A counter is no word, a chunk of grammar (I-NP) no entity where there are others, and of two layers the first, which
    is GermEval's outer one, is taken. Where no tags mark spans, the column of the fewest different values holds them.
    """
    tags = [name for name, column in cells.items() if _holds_tags(column)]
    entities = [name for name in tags if {tag[2:] for tag in cells[name]} - _CHUNKS - {""}]
    rest = [name for name in cells if name not in tags and not all(cell.isdigit() for cell in cells[name])]
    word = max(rest, key=lambda name: (len(set(cells[name])), -int(name)), default=next(iter(cells)))
    kinds = {name: len(set(cells[name])) for name in rest if name != word}
    others = sorted((name for name in kinds if kinds[name] > 1), key=lambda name: kinds[name])
    possible = entities or tags or others
    between = [name for name in cells if name != word and name not in possible[:1]]
    return (word, *between, *possible[:1]), tuple(possible[1:] if entities or not tags else ())


def _holds_tags(column: list[str]) -> bool:
    """Whether every cell is a tag of one scheme for spans; a column of nothing but `O` is none."""
    return all(map(_TAG.fullmatch, column)) and any(tag != "O" for tag in column)
