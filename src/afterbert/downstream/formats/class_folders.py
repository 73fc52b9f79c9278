"""A folder for each class with a text in each file (`pos/0_9.txt`), or a file for each class with a text in each
line."""

from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.row_files.text_file import TextFile

# What collections of reviews call texts that nobody has labelled.
_UNLABELLED = ("unsup", "unlabeled", "unlabelled")


@dataclass(frozen=True)
class ClassFolders(Format):
    """Columns `text` and `label`, the name of the folder or file."""

    def claim(self, path: Path, head: str) -> int:
        """Never claims a file: folders of this layout are known by what they hold, see `holds_classes`."""
        return 0

    def read(self, path: Path, findings: Findings) -> Table:
        folders = class_folders(path)
        rows = []
        for one in folders or class_files(path):
            label = None if one.stem.lower() in _UNLABELLED else one.stem if one.is_file() else one.name
            if one.is_file():
                texts = {
                    f"{one.name}:{n}": line for n, line in enumerate(TextFile.of(one).bare_lines(), 1) if line.strip()
                }
            else:
                texts = {f"{one.name}/{file.name}": _text(file, findings) for file in _files(one)}
            rows += [(key, {"text": text, "label": label}) for key, text in texts.items()]
        if not rows:
            raise UserError(f"{path}: holds no folder or file of a class; name one that does")
        layout = "a folder for each class" if folders else "a file for each class"
        keys, records = zip(*rows)
        return Table(path, layout, ("text", "label"), records, keys)


def holds_classes(path: Path) -> bool:
    """Returns whether a folder holds a folder or a file for each of two or more classes, and no other files."""
    return len(class_folders(path)) > 1 or len(class_files(path)) > 1


def class_folders(path: Path) -> list[Path]:
    """Returns the folders inside that hold files and no folders."""
    folders = [one for one in _visible(path) if one.is_dir()]
    return [one for one in folders if _files(one) and not any(inner.is_dir() for inner in _visible(one))]


def class_files(path: Path) -> list[Path]:
    """Returns the files inside when all are plain text."""
    files = _files(path)
    return files if all(file.suffix == ".txt" for file in files) else []


def _text(file: Path, findings: Findings) -> str:
    if not file.read_bytes().strip():
        findings.add("empty files", str(file))
        return ""
    return TextFile.of(file).text.strip()


def _files(path: Path) -> list[Path]:
    return [one for one in _visible(path) if one.is_file()]


def _visible(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if not one.name.startswith("."))
