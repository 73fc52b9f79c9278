"""What tools beside our own log are told, and that a resumed run writes on where it goes on."""

import sys

import pytest
from test_trainer import EVERY_5, break_off, records
from toy_run import run_toy, toy_evaluate, toy_training

from afterbert.cli.main import run
from afterbert.training.trackers.mlflow import MLflow
from afterbert.training.trackers.tensorboard import TensorBoard


def curves(path) -> dict[str, list[tuple[int, float]]]:
    package = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = package.EventAccumulator(str(path / "tensorboard"))
    events.Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_shows_what_the_log_has_also_after_a_resume(tmp_path):
    training = toy_training(track=TensorBoard(), log_every=1, **EVERY_5)
    break_off(tmp_path, training, 8, evaluate=toy_evaluate)
    run_toy(tmp_path, training, evaluate=toy_evaluate)
    found = curves(tmp_path)
    logged = {one["step"]: one["loss"] for one in records(tmp_path, "step")}
    assert found["training/loss"] == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in sorted(logged.items())]
    held_out = {one["step"]: one["figures"] for one in records(tmp_path, "evaluation")}
    name = next(iter(held_out[4]))
    assert found[f"held out/{name}"] == [
        (step, pytest.approx(figures[name], rel=1e-6)) for step, figures in sorted(held_out.items())
    ]


def test_mlflow_goes_on_in_the_run_of_the_folder_and_writes_no_step_twice(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    training = toy_training(track=MLflow(experiment="ours"), log_every=1, **EVERY_5)
    break_off(tmp_path, training, 8, evaluate=toy_evaluate)
    run_toy(tmp_path, training, evaluate=toy_evaluate)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("ours").experiment_id])
    found = sorted((one.step, one.value) for one in client.get_metric_history(run.info.run_id, "training/loss"))
    logged = {one["step"]: one["loss"] for one in records(tmp_path, "step")}
    assert found == sorted(logged.items())


def test_mlflow_that_fails_ends_its_curve_and_not_the_training(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())

    def refuse(*_given, **_named):
        raise ConnectionError("nobody answers\nand more")

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", refuse)
    with pytest.warns(UserWarning, match=r"no more figures from step 1 on \(nobody answers\)"):
        run_toy(tmp_path, toy_training(track=MLflow(), log_every=1))
    assert records(tmp_path, "step")


def test_a_tool_that_is_not_there_is_named_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    (tmp_path / "texts.txt").write_text("The old miller sings by the river.\n" * 20)
    asked = ["--training.track", "tensorboard", "--budget", "2steps", "--out", str(tmp_path / "runs")]
    assert run(["pretrain", str(tmp_path / "texts.txt"), *asked]) == 2
    said = capsys.readouterr().err
    assert "training.track: tensorboard needs the tensorboard library: pip install 'afterbert[track]'" in said
    assert not (tmp_path / "runs").exists()
