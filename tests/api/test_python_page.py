"""The page about Python and the tour run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
WORDS = ("the", "law", "of", "a", "land", "is", "what", "its", "people", "keep", "and", "say")


def sentence(number: int) -> str:
    return " ".join(WORDS[(number * 7 + step * (1 + number % 5)) % len(WORDS)] for step in range(9)) + "."


@pytest.mark.timeout(400)
def test_the_page_about_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, count in (("my_texts", 60), ("other_texts", 6)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            text = " ".join(sentence(10 * number + line) for line in range(12))
            (tmp_path / folder / f"{number}.txt").write_text(text)
    rows = [f"{sentence(n)},{'yes' if n % 2 else 'no'}" for n in range(40)]
    (tmp_path / "labelled.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert {"run", "store", "model", "tuned", "answer", "shown"} <= set(names)


@pytest.mark.timeout(400)
def test_the_tour(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "tour.py"), "--quick"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ModernBertForMaskedLM reads" in done.stdout and "guessing" in done.stdout
    assert (tmp_path / "tour" / "about" / "report.html").is_file()
