"""One table says what lies in a run folder: runs, reports and the tour agree with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterbert.base.run_files import RUN_FILES, is_run, telling
from afterbert.base.runs import RunFolder

TOUR = (Path(__file__).parents[2] / "docs" / "tour.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RUN_FILES)
def test_the_tour_says_what_each_file_is_for(name):
    file = RUN_FILES[name]
    assert f"| `{name}{'/' if file.kind == 'folder' else ''}` | {file.purpose} |" in TOUR


def test_a_run_is_known_by_its_files(tmp_path):
    assert not is_run(tmp_path)
    (tmp_path / "model").mkdir()
    assert not is_run(tmp_path)
    (tmp_path / telling()[0]).write_text("")
    assert is_run(tmp_path)


def test_run_folders_name_files_of_the_table(tmp_path):
    run = RunFolder(tmp_path)
    named = [run.recipe, run.course, run.checkpoints, run.model, run.diagnosis]
    assert {path.name for path in named} <= set(RUN_FILES)
