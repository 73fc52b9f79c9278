"""`docs/reliability.md` names tests that exist, for every fault."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
# Tables whose last column says where they are tested; one more counts what was tried by hand.
TABLES = [block for block in PAGE.split("\n\n") if "| tested in |" in block.partition("\n")[0]]
ROWS = [line for table in TABLES for line in table.splitlines()[2:]]


@cache
def functions_of(path: str) -> set[str]:
    parsed = ast.walk(ast.parse((TESTS / path).read_text(encoding="utf-8")))
    return {node.name for node in parsed if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip()[:60] for row in ROWS])
def test_every_fault_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row)
    assert named, "no test is named"
    assert [f"{path}::{name}" for path, name in named if name not in functions_of(path)] == []


def test_the_page_holds_the_table() -> None:
    assert len(ROWS) > 40
