"""`runs`: what lies on disk is listed; a run gets another name, or goes."""

import json
import os

import pytest

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.cli.main import run
from afterbert.workflows.pretrain_request import PretrainRequest, run_request
from afterbert.workflows.run_listing import disk_use, kind_of, listed_runs, remove_run, rename_run


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = RunFolder.create(tmp_path / "runs", "novels")
    plain.recipe.write_text("length: 64\n")
    plain.report(state="finished", step=300)
    (plain.path / "evaluation.json").write_text('{"measures": {"masked_accuracy": 0.576}}')
    for seed, state in ((0, "finished"), (1, "running")):
        RunFolder.create(tmp_path / "runs" / "tuned", f"seed-{seed}").report(state=state, step=20)
    spread = {"metrics": {"accuracy": {"mean": 0.75}}}
    (tmp_path / "runs" / "tuned" / "results.json").write_text(
        json.dumps({"tasks": {"food": {"splits": {"dev": spread}}}})
    )
    (tmp_path / "runs" / "mine").mkdir()
    (tmp_path / "runs" / "mine" / "notes.txt").write_text("not a run")
    return tmp_path / "runs"


def test_runs_are_listed_with_state_figure_and_disk_use(root, capsys):
    found = {one.path.name: one for one in listed_runs([root])}
    assert set(found) == {"novels", "tuned"}
    assert (found["novels"].kind, found["novels"].state) == ("pre-training", "finished at step 300")
    assert found["novels"].figure == "masked accuracy 57.6%"
    assert (found["tuned"].kind, found["tuned"].state) == ("fine-tuning", "1 of 2 seeds finished")
    assert found["tuned"].figure == "food dev accuracy 0.750"
    (root / "novels" / "evaluation.json").write_text("{")
    assert run(["runs"]) == 0
    said = capsys.readouterr().out
    assert "unreadable" in said and "food dev accuracy 0.750" in said and "2 in all" in said


def test_disk_use_counts_a_file_of_two_names_once(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    once = disk_use(tmp_path)
    assert once >= 100_000
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    assert disk_use(tmp_path) < 1.5 * once


def test_a_run_gets_another_name(root, capsys):
    assert run(["runs", "--rename", "runs/novels", "old-novels"]) == 0
    assert kind_of(root / "old-novels") == "pre-training" and not (root / "novels").exists()
    assert not (root / "old-novels" / ".lock").exists()
    with pytest.raises(UserError, match="tuned is there already; choose another name"):
        rename_run(root / "old-novels", "tuned")
    with pytest.raises(UserError, match="may hold only letters"):
        rename_run(root / "old-novels", "../out")
    with pytest.raises(UserError, match=r"there is no run runs/old-novls; did you mean 'runs/old-novels'\?"):
        rename_run((root / "old-novls").relative_to(root.parent), "x")


def test_only_runs_are_removed_and_none_that_is_written(root, capsys):
    assert run(["runs", "--remove", "runs/mine"]) == 2
    assert "is no run that afterbert made, so it is left alone" in capsys.readouterr().err
    held = RunFolder(root / "novels")
    with held.locked(), pytest.raises(UserError, match="is being written by process"):
        remove_run(root / "novels")
    assert run(["runs", "--remove", "runs/novels", "--remove", "runs/tuned"]) == 0
    assert sorted(path.name for path in root.iterdir()) == ["mine"]
    assert run(["runs"]) == 2
    assert "no run lies below runs or demo" in capsys.readouterr().err


def test_a_name_is_checked_before_the_texts_are_read(tmp_path):
    with pytest.raises(UserError, match="run name 'my run' may hold only letters"):
        run_request(PretrainRequest(texts=(str(tmp_path / "missing.txt"),), name="my run"))
