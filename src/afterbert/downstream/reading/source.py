"""Where a task's rows come from: settled once, by a guess or a task file, before anything is read as a whole."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError, near_file
from afterbert.base.small_files import check_regular
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats.class_folders import holds_classes
from afterbert.downstream.formats.text_and_labels import NAMES_OF_LABELS, labels_beside
from afterbert.downstream.task_name import checked_name
from afterbert.downstream.tasks import Task
from afterbert.text.language_codes import TWO_LETTERS

# With the names that CoNLL's shared tasks gave their files (eng.testa, eng.testb) and that others glue together.
_WORDS = {
    "train": ("train", "training", "trainset", "traindata"),
    "dev": ("dev", "valid", "validation", "val", "development", "devel", "devset", "validset", "testa"),
    "test": ("test", "testing", "testset", "testb"),
}
# Endings that say how a file is written; any other is a part of its name (eng.train).
_ENDINGS = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".label", ".parquet"}
_ENDINGS |= {".conll", ".conllu", ".bio", ".iob", ".iob2"}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
_NO_DATA = (".md", ".pdf", ".py", ".yaml", ".yml", ".html", ".toml")
_NO_DATA_NAMES = ("readme", "license", "licence", "copying", "notice", "changelog")


@dataclass(frozen=True)
class TaskSource:
    """columns: part -> column. files: split -> file, `train`, `dev` and `test` first, further test sets by
    their files' names; a file that says nothing about splits is `all`. why: one line on what was guessed and
    from what, or which task file said so.
    """

    name: str
    task: Task
    format: Format
    columns: Mapping[str, str]
    files: Mapping[str, Path]
    why: str

    def __post_init__(self) -> None:
        checked_name(self.name)


def split_files(path: Path) -> dict[str, Path]:
    """Returns split -> file of a data file or a folder of them. Raises UserError if there is none.

    Files that share the training file's name but for the word `train` are its `dev` and `test`; others keep their whole
    name. A folder with a folder or a plain text for each class counts as one file.
    """
    if path.is_file():
        return {_split_word(path)[0] or "all": path}
    if not path.is_dir():
        check_regular(path)
        cure = near_file(path, "name a data file or a folder with train, dev and test files")
        raise UserError(f"{path}: does not exist; {cure}")
    folders = {_split_word(one)[0]: one for one in sorted(path.iterdir()) if one.is_dir() and holds_classes(one)}
    if any(folders):
        return {split: folders[split] for split in _WORDS if split in folders}
    files = sorted(file for file in path.iterdir() if file.is_file() and _may_be_data(file))
    if labels := {labels_beside(file) for file in files} - {None}:
        files = [file for file in files if file not in labels and file.name != NAMES_OF_LABELS]
    if not files and holds_classes(path):
        return {"all": path}
    if not files:
        raise UserError(f"{path}: holds no data file; put train and dev files there, or name one file")
    named = {file: _split_word(file) for file in files}
    rests = [rest for split, rest in named.values() if split]
    trained_on = [rest for split, rest in named.values() if split == "train"]
    own = max(trained_on or rests or [""], key=(trained_on or rests or [""]).count)
    found: dict[str, Path] = {}
    for file, (split, rest) in named.items():
        if split and rest == own and found.setdefault(split, file) != file:
            raise UserError(
                f"{path}: {found[split].name} and {file.name} both hold {split} rows; put them into one file, or say "
                "which one is meant under files: in a task file"
            )
    ordered = {split: found[split] for split in _WORDS if split in found}
    return _with_names([file for file in files if file not in ordered.values()], ordered)


def splits_within(table: Table, taken: Collection[str]) -> tuple[dict[str, Table], str | None]:
    """Returns split -> its rows, and the column that says so: one that is not `taken` and says of each row for which
    split it is. Where there is none, all rows are `train`."""
    for name in table.columns:
        said = [_SPLIT_OF.get(str(value).strip().lower()) for value in table.column(name)]
        if name not in taken and None not in said and {"train"} < set(said):
            numbers = {split: [n for n, one in enumerate(said) if one == split] for split in _WORDS if split in said}
            return {split: table.only(rows) for split, rows in numbers.items()}, name
    return {"train": table}, None


def languages_told(files: Mapping[str, Path]) -> dict[str, str]:
    """Returns split -> language from the names of files (`de_gsd-test.conllu`, `xquad.zh.json`); empty unless they name
    at least two languages, since `is` and `no` are words too.

    >>> languages_told({name: Path(f"{name}.csv") for name in ("ud_en-train", "test.is", "more")})
    {'ud_en-train': 'en', 'test.is': 'is'}
    """
    found: dict[str, str] = {}
    for split, path in files.items():
        codes = [word for word in re.split(r"[^A-Za-z0-9]+", _stem(path)) if word in TWO_LETTERS]
        found |= {split: codes[0]} if codes else {}
    return found if len(set(found.values())) > 1 else {}


def further_sets(path: Path) -> dict[str, Path]:
    """Returns split -> file for a file or a folder of further test sets, named after their files. Raises UserError."""
    return {checked_name(name): file for name, file in _with_names(split_files(path).values(), {}).items()}


def _with_names(files: Iterable[Path], known: Mapping[str, Path]) -> dict[str, Path]:
    """The known splits, and further files by their names: with the ending, where another is called the same without."""
    found = dict(known)
    for file in files:
        found[file.name if _stem(file) in found else _stem(file)] = file
    return found


def _split_word(file: Path) -> tuple[str | None, str]:
    """The split that a file's name tells, and the rest of the name.

    >>> _split_word(Path("en_ewt-train.conllu")), _split_word(Path("xquad.de.json"))
    (('train', 'en ewt'), (None, 'xquad de'))
    >>> _split_word(Path("eng.testa")), _split_word(Path("devset.tsv"))
    (('dev', 'eng'), ('dev', ''))
    """
    stem = re.sub(r"-\d+-of-\d+$", "", _stem(file).lower())  # the hub cuts large files so
    words = [word for word in re.split(r"[^a-z0-9]+", stem) if word]
    split = next((_SPLIT_OF[word] for word in words if word in _SPLIT_OF), None)
    return split, " ".join(word for word in words if word not in _SPLIT_OF)


def _stem(file: Path) -> str:
    """A file's name without an ending that says how it is written.

    >>> _stem(Path("eng.train")), _stem(Path("reviews.v2.csv"))
    ('eng.train', 'reviews.v2')
    """
    return file.stem if file.suffix.lower() in _ENDINGS else file.name


def _may_be_data(file: Path) -> bool:
    no_data = file.stem.lower() in _NO_DATA_NAMES or file.suffix.lower() in _NO_DATA
    return not no_data and not file.name.startswith(".")
