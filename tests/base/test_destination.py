"""What is written to a place that a user names never replaces what is not ours."""

import os
import stat
import subprocess

import pytest

from afterbert.base.destination import MARKER, aside_of, check_file, folder_claimed, folder_written
from afterbert.base.errors import UserError


def write(out, *names, **options):
    with folder_written(out, made_by="export", **options) as aside:
        for name in names:
            (aside / name).write_text("ours")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_our_own_folder_is_replaced_and_the_rest_stays(tmp_path):
    out = tmp_path / "a" / "out"
    write(out, "one", "two")
    (out / "notes").write_text("theirs")
    write(out, "two", "three")
    assert names(out) == [MARKER, "notes", "three", "two"]
    assert (out / "notes").read_text() == "theirs"
    assert names(out.parent) == ["out"]


def test_what_is_not_ours_is_refused(tmp_path):
    out = tmp_path / "precious"
    out.mkdir()
    (out / "config.json").write_text("theirs")
    with pytest.raises(UserError, match="config.json.*--overwrite"):
        write(out, "config.json")
    with pytest.raises(UserError, match="did not make"), folder_claimed(out, made_by="finetune"):
        raise AssertionError
    assert (out / "config.json").read_text() == "theirs" and names(out) == ["config.json"]
    write(out, "config.json", overwrite=True)
    assert (out / "config.json").read_text() == "ours"


@pytest.mark.parametrize(("begun", "left"), [(False, []), (True, ["new"])])
def test_a_new_folder_goes_where_its_work_is_refused_before_a_run_begins(tmp_path, begun, left):
    with pytest.raises(UserError), folder_claimed(tmp_path / "new" / "out", made_by="finetune"):
        (tmp_path / "new" / "out" / "seed-0").mkdir()
        (tmp_path / "new" / "out" / "seed-0" / ("course.json" if begun else "status.json")).write_text("{}")
        raise UserError("too little")
    assert names(tmp_path) == left


def test_a_file_that_came_later_is_not_taken_for_ours(tmp_path):
    out = tmp_path / "out"
    write(out, "one")
    (out / "README.md").write_text("theirs")
    with pytest.raises(UserError, match="README.md is not a file that afterbert made"):
        write(out, "one", "README.md")
    assert (out / "README.md").read_text() == "theirs" and names(tmp_path) == ["out"]


def test_links_are_not_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UserError, match="is a link to"):
        write(tmp_path / "link", "one")
    write(tmp_path / "out", "one")
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "out" / "one").unlink()
    (tmp_path / "out" / "one").symlink_to(tmp_path / "theirs")
    write(tmp_path / "out", "one")
    assert (tmp_path / "theirs").read_text() == "theirs" and not (tmp_path / "out" / "one").is_symlink()


def test_after_an_error_all_is_as_it_was(tmp_path):
    write(tmp_path / "out", "one")
    with pytest.raises(RuntimeError), folder_written(tmp_path / "out", made_by="export") as aside:
        (aside / "two").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == [MARKER, "one"]


def test_what_a_killed_process_of_the_same_number_left_goes(tmp_path):  # as in containers
    (tmp_path / f".tmp-{os.getpid()}-out").mkdir()
    write(tmp_path / "out", "one")
    assert names(tmp_path) == ["out"]


def test_what_a_killed_process_left_goes(tmp_path):
    (tmp_path / ".tmp-99999999-out").mkdir()
    (tmp_path / f".tmp-{os.getppid()}-out").mkdir()
    write(tmp_path / "out", "one")
    assert names(tmp_path) == [f".tmp-{os.getppid()}-out", "out"]


def test_a_file_is_known_by_its_first_line(tmp_path):
    path = tmp_path / "list.tsv"
    check_file(path, mark="text\ttype")
    path.write_text("text\ttype\n")
    check_file(path, mark="text\ttype")
    path.write_text("theirs\n")
    with pytest.raises(UserError, match="is not a file that afterbert made"):
        check_file(path, mark="text\ttype")
    check_file(path, mark="text\ttype", overwrite=True)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(UserError, match="is a link to"):
        check_file(tmp_path / "link", mark="theirs")


def test_a_folder_has_the_usual_mode(tmp_path):
    write(tmp_path / "out", "one")
    (tmp_path / "usual").mkdir()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out", "usual")}
    assert len(modes) == 1


def test_what_killed_processes_left_goes(tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    (tmp_path / f".tmp-{child.pid}-rows.csv").write_text("half a")
    (tmp_path / f".tmp-{child.pid}-other.csv").write_text("of another")
    (tmp_path / f".tmp-{os.getppid()}-rows.csv").write_text("somebody still writes here")
    assert aside_of(tmp_path / "rows.csv") == tmp_path / f".tmp-{os.getpid()}-rows.csv"
    assert {path.name for path in tmp_path.iterdir()} == {
        f".tmp-{child.pid}-other.csv",
        f".tmp-{os.getppid()}-rows.csv",
    }
