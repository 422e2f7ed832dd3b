"""The models that answer: each task's `champion` in the MLflow registry, read and checked."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from facts.errors import NotYet, RegularsError
from facts.home import require_sqlite
from features.inputs import input_hash
from scoring.answers import FeatureMismatch
from scoring.model import MODEL_FILE, TaskModel, UnusableModel, read_model
from serving.schema import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

    from facts.home import Home

ALIAS = "champion"
KINDS = {"repurchase": "probability", "churn": "probability", "clv": "amount"}
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # no such model; no such alias of the model


class UnusableChampion(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A champion that cannot be served."""

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"the champion {label} cannot be served: {reason}")


def read_champions(home: Home) -> Mapping[str, TaskModel]:
    """Read the champion of every task that has one.

    Returns
    -------
    The models by task, under their registered version, in the order of `TASKS`.

    Raises
    ------
    NotYet
        No task has a champion.
    FeatureMismatch
        A champion was trained on another feature list than the catalog's.
    UnusableChampion
        A champion's files are missing or damaged; the message names them.
    """
    _hush_mlflow()
    found: dict[str, TaskModel] = {task: model for task in TASKS if (model := _read_champion(home, task)) is not None}
    if not found:
        raise NotYet("champion of any task", advice="run `regulars train` first")
    return found


def champion_version(home: Home, task: str) -> str | None:
    """Return the version that a task's alias `champion` names now, None where it names none."""
    from mlflow.exceptions import MlflowException

    if not home.has_tracking:  # opening it would make an empty registry
        return None
    require_sqlite(home.folder / "mlflow.db", advice="remove it and train again")
    try:
        version = _client(home).get_model_version_by_alias(f"regulars-{task}", ALIAS)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise UnusableChampion(f"regulars-{task}@{ALIAS}", _first_line(error)) from error
    return str(version.version)


def _read_champion(home: Home, task: str) -> TaskModel | None:
    version = champion_version(home, task)
    if version is None:
        return None
    label = f"regulars-{task}/{version}"
    try:
        model = read_model(_folder(home, task, version), version=version)
    except UnusableModel as error:
        raise UnusableChampion(label, str(error)) from error
    _check(model, task, label)
    return model


def _check(model: TaskModel, task: str, label: str) -> None:
    if (model.task, model.kind) != (task, KINDS[task]):
        raise UnusableChampion(label, f"it holds a model of {model.task!r} that predicts a {model.kind}")
    if model.kind == "amount" and not model.currency:
        raise UnusableChampion(label, "it names no currency")
    if model.feature_hash != input_hash(model.features):
        raise FeatureMismatch(label, model.feature_hash, input_hash(model.features), where="the catalog")
    if model.gate.feature not in model.features:
        raise UnusableChampion(label, f"{MODEL_FILE} contradicts itself; train again")


def _folder(home: Home, task: str, version: str) -> Path:
    """Return the local folder of a version's files; a registry on this machine is read in place, not copied."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    label = f"regulars-{task}/{version}"
    try:
        place = _client(home).get_model_version_download_uri(f"regulars-{task}", version)
        root = Path(download_artifacts(artifact_uri=place, tracking_uri=home.tracking_uri))
    except (MlflowException, OSError) as error:
        raise UnusableChampion(label, f"its files cannot be had: {_first_line(error)}") from error
    folders = sorted(path.parent for path in root.rglob(MODEL_FILE))
    if not folders:
        raise UnusableChampion(label, f"there is no {MODEL_FILE} in {root}; train again")
    return folders[0]


def _client(home: Home) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=home.tracking_uri, registry_uri=home.tracking_uri)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _hush_mlflow() -> None:
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
