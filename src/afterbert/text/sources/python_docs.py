"""The English that every Python carries: the language reference and the docstrings of installed packages.

Nothing is imported or run: docstrings are read from the source files by `ast`. Good for a first try without
any file of one's own.
"""

import ast
import importlib.util
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import xxhash

from afterbert.base.numbers import Count
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import Policy
from afterbert.text.sources import Source, SourcePart

# Tests and generated or vendored code say little or say it twice.
_SKIPPED = {"site-packages", "test", "tests", "idlelib", "lib2to3", "_vendor", "__pycache__", "turtledemo"}

_BLANK_LINE = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"[A-Z`\"'(*][^>].*[.!?:)\"'*]$")
# Prose is letters and spaces; code, tables and formulas are not.
_SHARE_OF_LETTERS = 0.9


@dataclass(frozen=True)
class PythonDocs(Source):
    """packages: whose docstrings are read, beside the standard library's; those not installed are left out.
    Each docstring of at least `min_characters` is a document, each topic of the language reference too."""

    packages: tuple[str, ...] = ("numpy", "scipy", "sklearn", "networkx", "sympy", "pydantic", "huggingface_hub")
    min_characters: Count = 80
    name: str = "python"

    def parts(self, target_bytes: int) -> list[SourcePart]:
        sizes = [path.stat().st_size for path in _files(self.packages)]
        starts, held = [0], 0
        for number, size in enumerate(sizes):
            if held > target_bytes:
                starts.append(number)
                held = 0
            held += size
        stops = [*starts[1:], len(sizes)]
        return [SourcePart(self, a, b, sum(sizes[a:b])) for a, b in zip(starts, stops)]

    def digest(self) -> dict[str, str]:
        found = xxhash.xxh3_64()
        for path in _files(self.packages):
            found.update(f"{path.name}:{path.stat().st_size};".encode())
        return {self.name: f"{len(_files(self.packages))} files, xxh3 of names and sizes {found.hexdigest()}"}

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        if part.start == 0:
            yield from self._topics(policy, tally)
        for path in _files(self.packages)[part.start : part.stop]:
            intake = Intake(policy, tally, path=str(path), name=f"{self.name}/{path.name}", language="en")
            tally.files[".py"] += 1
            source = path.read_bytes()
            tally.bytes += len(source)
            for line, text in _docstrings(source):
                for number, paragraph in enumerate(self._prose(text)):
                    yield from intake.documents(paragraph, line, id=f"{intake.name}:{line}.{number}")

    def _topics(self, policy: Policy, tally: Tally) -> Iterator[Document]:
        from pydoc_data.topics import topics

        intake = Intake(policy, tally, path="pydoc_data/topics.py", name=f"{self.name}/topics", language="en")
        for title, text in sorted(topics.items()):
            for number, paragraph in enumerate(self._prose(text)):
                yield from intake.documents(paragraph, 0, id=f"{self.name}/topics/{title}.{number}")

    def _prose(self, text: str) -> Iterator[str]:
        """The paragraphs that are sentences, each on one line."""
        for block in _BLANK_LINE.split(text):
            paragraph = " ".join(block.split())
            if len(paragraph) >= self.min_characters and _SENTENCE.match(paragraph):
                letters = sum(c.isalpha() or c == " " for c in paragraph)
                if letters >= _SHARE_OF_LETTERS * len(paragraph):
                    yield paragraph


def _docstrings(source: bytes) -> Iterator[tuple[int, str]]:
    """(line, docstring) of every module, class and function in a source file; none where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # old escapes in other people's strings
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


@cache
def _files(packages: tuple[str, ...]) -> list[Path]:
    """All source files, in an order that does not depend on the file system."""
    roots = [sysconfig.get_paths()["stdlib"]]
    for package in packages:
        found = importlib.util.find_spec(package)
        if found and found.submodule_search_locations:
            roots.append(found.submodule_search_locations[0])
    files: list[Path] = []
    for root in roots:
        here = []
        for folder, inner, names in os.walk(root):
            inner[:] = sorted(name for name in inner if name not in _SKIPPED and not name.startswith("."))
            here += [Path(folder, name) for name in names if name.endswith(".py")]
        files += sorted(here)
    return files
