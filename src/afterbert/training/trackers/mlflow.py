"""Runs of MLflow, on the server or in the database that MLflow itself is told to use."""

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xxhash

from afterbert.base.errors import UserError
from afterbert.base.extras import from_extra
from afterbert.training.observers import Observer
from afterbert.training.trackers import FigureObserver, Tracker, figures_of

_KEY = "afterbert.key"  # of a run's folder, so that a resumed run is found again


@dataclass(frozen=True)
class MLflow(Tracker):
    """Writes to MLflow (extra `mlflow`); its variable MLFLOW_TRACKING_URI says where. A resumed run goes on in the run
    of its folder, and steps that are there already are not written again."""

    experiment: str = "afterbert"
    """The experiment under which runs stand; it is made where there is none."""

    def check(self) -> None:
        self._client_and_experiment()

    def observer(self, folder: Path) -> Observer:
        return _Run(self, folder)

    def _client_and_experiment(self) -> tuple[Any, str]:
        """MLflow's client, and the experiment's number. Raises UserError where it cannot be reached."""
        mlflow = from_extra("mlflow", "mlflow", needed_by="training.track: mlflow")
        try:
            client = mlflow.MlflowClient()
            found = client.get_experiment_by_name(self.experiment)
            return client, found.experiment_id if found else client.create_experiment(self.experiment)
        except Exception as error:  # whatever its store raises: of a database, of a server, of a path
            place = mlflow.get_tracking_uri()
            raise UserError(
                f"training.track: mlflow cannot write to {place}: {_first_line(error)}; name another place in "
                "MLFLOW_TRACKING_URI"
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


class _Run(FigureObserver):
    """What MLflow cannot take ends its curve and not the training."""

    def __init__(self, config: MLflow, folder: Path):
        self._config, self._folder, self._has_failed = config, folder.resolve(), False

    def write(self, where: str, record: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric

        if self._has_failed:
            return
        now, step = int(time.time() * 1000), record["step"]
        named = {f"{where}/{name}": value for name, value in figures_of(record)}
        try:
            client, run, reached = self._opened
            new = [Metric(name, value, now, step) for name, value in named.items() if step > reached.get(name, -1)]
            client.log_batch(run, metrics=new)
        except Exception as error:
            self._has_failed = True
            warnings.warn(
                f"MLflow takes no more figures from step {step} on ({_first_line(error)}); metrics.jsonl has them all",
                stacklevel=2,
            )

    @cached_property
    def _opened(self) -> tuple[Any, str, dict[str, int]]:
        """The client, the run of this folder, and the last step of each of its figures."""
        client, experiment = self._config._client_and_experiment()
        key = xxhash.xxh3_64_hexdigest(str(self._folder).encode())
        found = client.search_runs([experiment], filter_string=f"tags.`{_KEY}` = '{key}'", max_results=1)
        if not found:
            tags = {_KEY: key, "folder": str(self._folder)}
            return client, client.create_run(experiment, tags=tags, run_name=self._folder.name).info.run_id, {}
        run = found[0]
        reached = {
            name: max(one.step for one in client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics
        }
        return client, run.info.run_id, reached
