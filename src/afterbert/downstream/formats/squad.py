"""SQuAD's JSON, versions 1.1 and 2.0 (also XQuAD, MLQA, CMRC 2018's SQuAD-style files)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats.jsonl import parsed
from afterbert.downstream.row_files.text_file import TextFile

_COLUMNS = ("id", "title", "question", "context", "answers")


@dataclass(frozen=True)
class Squad(Format):
    """One row a question. answers: a list of {text, answer_start}, empty for a question that cannot be answered
    (`is_impossible`), None if the file says nothing (a test set without answers).
    """

    def claim(self, path: Path, head: str) -> int:
        """Claims an object with `data` or `paragraphs` near the beginning."""
        begin = head.lstrip()[:2000]
        return 3 if begin.startswith("{") and ('"paragraphs"' in begin and '"data"' in head) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        tree = parsed(TextFile.of(path).text, str(path))
        try:
            rows = [
                _record(article, paragraph, question)
                for article in tree["data"]
                for paragraph in article["paragraphs"]
                for question in paragraph["qas"]
            ]
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise UserError(f"{path}: is not SQuAD's JSON ({error!r} where data / paragraphs / qas stand)") from error
        if not rows:
            raise UserError(f"{path}: holds no question; name a file with rows")
        seen: set[str] = set()
        for row in rows:
            if row["id"] in seen:
                findings.add("question ids that occur twice", row["id"])
            seen.add(row["id"])
        return Table(path, "SQuAD JSON", _COLUMNS, tuple(rows), tuple(row["id"] for row in rows))


def _record(article: Any, paragraph: Any, question: Any) -> dict[str, Any]:
    answers = question.get("answers")
    if question.get("is_impossible"):
        answers = []
    elif not answers:
        answers = None
    return {
        "id": str(question["id"]),
        "title": str(article.get("title", "")),
        "question": question["question"],
        "context": paragraph["context"],
        "answers": answers,
    }
