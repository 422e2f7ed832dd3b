"""What MLflow keeps of a training: one experiment a task, a parent run with its trials, a registered version."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from facts.errors import RegularsError
from facts.home import PROJECT, Home, require_sqlite
from scoring.model import TaskModel, score_frame
from scoring.model_files import write_model
from scoring.parts import Rows
from training.dataset import TrainingSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient
    from mlflow.types.schema import Schema

KEY_TAG = "regulars.training_key"
MLFLOW_GIT_COMMIT = "mlflow.source.git.commit"  # where MLflow's pages look for it
REPORT = "report.json"
_INPUT_EXAMPLE_ROWS = 3


class MovedHome(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A home that was copied or moved after something was trained in it."""

    def __init__(self, kept: str, place: str, database: Path) -> None:
        super().__init__(
            f"MLflow keeps the artifacts of this home's models in {kept}, not in {place}: the home was moved; "
            f"move it back to train in it, or remove {database} and begin anew"
        )


@contextmanager
def tracked(home: Home) -> Iterator[MlflowClient]:
    """Point MLflow at the home's tracking store, and back where it pointed afterwards."""
    os.environ |= {"GIT_PYTHON_REFRESH": "quiet", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    import mlflow

    require_sqlite(home.folder / "mlflow.db", advice="remove it and train again")
    home.artifacts.mkdir(parents=True, exist_ok=True)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing MLflow turned on those of its own libraries
        if not home.has_tracking:
            _make_store(home)
        mlflow.set_tracking_uri(home.tracking_uri)
        try:
            yield mlflow.MlflowClient()
        finally:
            mlflow.set_tracking_uri(before)


def experiment_id(client: MlflowClient, home: Home, name: str, *, description: str) -> str:
    """Return the experiment of a task, made at first use, by one process."""
    with alone_in(home.folder):
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # The kind lets MLflow's pages open on runs and models rather than on traces of language models.
        tags = {"mlflow.note.content": description, "mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(name, artifact_location=_place(home, name), tags=tags))


def require_unmoved(client: MlflowClient, home: Home, name: str) -> None:
    """Raise MovedHome where an experiment's artifacts lie in another home: what is trained would be written there."""
    found = client.get_experiment_by_name(name)
    if found is not None and found.artifact_location != _place(home, name):
        raise MovedHome(found.artifact_location, _place(home, name), home.folder / "mlflow.db")


def _place(home: Home, name: str) -> str:
    return (home.artifacts / name).as_uri()


def version_of_key(client: MlflowClient, name: str, key: str) -> ModelVersion | None:
    """Return the version that the same data, settings and seed led to before, if there is one."""
    found = [v for v in client.search_model_versions(f"name = '{name}'") if v.tags.get(KEY_TAG) == key]
    return max(found, key=lambda v: int(v.version)) if found else None


def read_report(client: MlflowClient, version: ModelVersion) -> dict[str, Any]:
    """Return what was measured of a version."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(client.download_artifacts(version.run_id, REPORT, folder))
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def close_abandoned_runs(client: MlflowClient, experiment: str, key: str) -> None:
    """End the runs that an earlier, stopped training of the same key left open."""
    left = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}' and attributes.status = 'RUNNING'")
    for run in left:
        client.set_terminated(run.info.run_id, status="KILLED")


def finish(client: MlflowClient, version: ModelVersion) -> None:
    """End the run of a version as one that went well, where it was stopped after it had registered the version."""
    if client.get_run(version.run_id).info.status == "RUNNING":
        client.set_terminated(version.run_id)


def log_trials(
    client: MlflowClient, experiment: str, parent: str, trials: pd.DataFrame, *, metric: str, key: str
) -> None:
    """Log every trial as a run nested under the parent."""
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    for row in trials.to_dict("records"):
        tags = {"mlflow.parentRunId": parent, "mlflow.runName": f"trial {row['number']}", KEY_TAG: key}
        run = client.create_run(experiment, tags=tags)
        params = [Param(name, str(value)) for name, value in row.items() if name not in {"number", "value", "state"}]
        client.log_batch(run.info.run_id, metrics=[Metric(metric, row["value"], now, 0)], params=params)
        client.set_terminated(run.info.run_id)


def log_data(data: TrainingSet, *, source: str, name: str, context: str) -> None:
    """Log a dataset, with its digest, as an input of the active run."""
    import mlflow

    dataset = mlflow.data.from_pandas(data.frame, source=source, name=name, targets="label")
    dataset.schema = _schema(data.frame)
    mlflow.log_input(dataset, context=context)


def _schema(frame: pd.DataFrame) -> Schema:
    """Return MLflow's schema of a table from one row: it would look for missing values in every cell, in Python."""
    from mlflow.models import infer_signature
    from mlflow.types.schema import ColSpec, Schema

    is_known, typed = frame.notna().all(), infer_signature(frame.head(1)).inputs
    return Schema([ColSpec(type=spec.type, name=spec.name, required=bool(is_known[spec.name])) for spec in typed])


def log_figures(figures: Mapping[str, Figure]) -> None:
    """Log figures as PNG under `plots/`."""
    import mlflow

    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}.png")


def log_model(model: TaskModel, example: TrainingSet) -> str:
    """Log the model as a pyfunc from code (UBJSON, ONNX and JSON, no pickle) and return its address."""
    rows = example.frame[list(model.features)].head(_INPUT_EXAMPLE_ROWS)
    return log_files(
        lambda folder: write_model(model, folder),
        name=model.registered_name,
        pyfunc="pyfunc.py",
        rows=rows,
        answer=lambda matrix: score_frame(model, matrix),
    )


def log_files(
    write: Callable[[Path], None],
    *,
    name: str,
    pyfunc: str,
    rows: pd.DataFrame,
    answer: Callable[[Rows], pd.DataFrame],
) -> str:
    """Log the files that `write` puts into a folder as a pyfunc from `scoring`'s code, and return its address.

    `answer` gives what the pyfunc says of `rows`, an example.
    """
    import mlflow
    from mlflow.models import infer_signature

    # Doubles: MLflow takes float32 for them, but not the other way round, and frames are of doubles.
    example = rows.astype(np.float64)
    signature = infer_signature(example, answer(example.to_numpy(dtype=np.float32)))
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / name
        write(files)
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PROJECT / "scoring" / pyfunc),
            artifacts={"model": str(files)},
            code_paths=[str(PROJECT / "scoring")],
            signature=signature,
            input_example=example,
            pip_requirements=_requirements(),
        )
    return str(logged.model_uri)


def register(client: MlflowClient, uri: str, name: str, *, card: str, tags: Mapping[str, str]) -> str:
    """Register a logged model, its card and tags in one step, and return its version."""
    import mlflow
    from mlflow.exceptions import MlflowException

    logged = mlflow.get_logged_model(uri.removeprefix("models:/"))
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)
    version = client.create_model_version(
        name, uri, logged.source_run_id, tags=dict(tags), description=card, model_id=logged.model_id
    )
    return str(version.version)


def code_version() -> tuple[str, str]:
    """Return this project's version and, in a checkout, its git commit (see `git_commit`)."""
    from importlib.metadata import version

    return version("regulars"), git_commit(PROJECT)


def git_commit(folder: Path) -> str:
    """Return a checkout's commit, `-dirty` behind it where files have changed; nothing without checkout or git."""
    if not (folder / ".git").exists():
        return ""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head}-dirty" if changed else head


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - our own words


def run_tags(*, key: str, task: str, shop: str) -> dict[str, str]:
    """Return the tags of a training's run: what it is of, and the code's version and commit."""
    release, commit = code_version()
    tags = {KEY_TAG: key, "task": task, "shop": shop, "regulars_version": release}
    return tags | ({MLFLOW_GIT_COMMIT: commit} if commit else {})


def run_name(shop: str, horizon_days: int, *, at: datetime) -> str:
    """Return a name that says how far, where and when."""
    return f"{horizon_days} days, {shop}, {at:%Y-%m-%d %H:%M}"


def _make_store(home: Home) -> None:
    """Make MLflow's tables at first use, whole or not at all: it cannot open what it was stopped in making."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with alone_in(home.folder):
        if home.has_tracking:  # another process made it meanwhile
            return
        partial = home.folder / ".mlflow.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        SqlAlchemyStore(f"sqlite:///{partial / 'mlflow.db'}", home.artifacts.as_uri()).engine.dispose()
        (partial / "mlflow.db").replace(home.folder / "mlflow.db")
        shutil.rmtree(partial)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the kernel's lock on a folder, which ends with its process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("mlflow", "xgboost", "onnxruntime", "numpy", "pandas")]
