"""Registered models: which version of a task is `champion`, and its files read as a model."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from facts.errors import RegularsError
from facts.home import require_sqlite
from scoring.model import TaskModel, UnusableModel
from scoring.model_files import MODEL_FILE, read_model
from scoring.ranker import RECOMMENDER, REGISTERED_NAME, Ranker, read_ranker

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from facts.home import Home

ALIAS = "champion"
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # no such model; no such alias of the model


class UnusableChampion(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A champion that cannot be served."""

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"the champion {label} cannot be served: {reason}")


def champion_version(home: Home, task: str) -> str | None:
    """Return the version that a task's alias `champion` names now, None where it names none."""
    from mlflow.exceptions import MlflowException

    if not home.has_tracking:  # opening it would make an empty registry
        return None
    _hush_mlflow()
    require_sqlite(home.folder / "mlflow.db", advice="remove it and train again")
    try:
        version = _client(home).get_model_version_by_alias(f"regulars-{task}", ALIAS)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise UnusableChampion(f"regulars-{task}@{ALIAS}", _first_line(error)) from error
    return str(version.version)


def read_champion(home: Home, task: str) -> TaskModel | None:
    """Return the champion of a task under its registered version, None where there is none.

    Raises
    ------
    UnusableChampion
        Its files are missing or damaged; the message names them.
    """
    version = champion_version(home, task)
    return None if version is None else read_version(home, task, version)


def read_version(home: Home, task: str, version: str) -> TaskModel:
    """Return a registered version of a task; raise UnusableChampion where its files are missing or damaged."""
    try:
        return read_model(version_folder(home, task, version), version=version)
    except UnusableModel as error:
        raise UnusableChampion(f"regulars-{task}/{version}", str(error)) from error


def read_recommender(home: Home, version: str | None = None) -> Ranker | None:
    """Return the recommender's champion, or a version; None where there is no champion.

    Raises
    ------
    UnusableChampion
        Its files are missing or damaged; the message names them.
    """
    version = version or champion_version(home, RECOMMENDER)
    if version is None:
        return None
    try:
        return read_ranker(version_folder(home, RECOMMENDER, version), version=version)
    except UnusableModel as error:
        raise UnusableChampion(f"{REGISTERED_NAME}/{version}", str(error)) from error


def version_folder(home: Home, task: str, version: str) -> Path:
    """Return the local folder of a version's files; a registry on this machine is read in place, not copied."""
    from mlflow.exceptions import MlflowException

    label = f"regulars-{task}/{version}"
    try:
        place = _client(home).get_model_version_download_uri(f"regulars-{task}", version)
    except MlflowException as error:
        raise UnusableChampion(label, f"its files cannot be had: {_first_line(error)}") from error
    return _folder_at(home, place, label=label)


def read_logged(home: Home, model_id: str, *, label: str) -> TaskModel:
    """Return a model that was logged and is no version yet; raise UnusableChampion as `read_version` does."""
    try:
        return read_model(logged_folder(home, model_id, label=label))
    except UnusableModel as error:
        raise UnusableChampion(label, _first_line(error)) from error


def logged_folder(home: Home, model_id: str, *, label: str) -> Path:
    """Return the local folder of a logged model's files; raise UnusableChampion where they cannot be had."""
    from mlflow.exceptions import MlflowException

    try:
        place = _client(home).get_logged_model(model_id).artifact_location
    except MlflowException as error:
        raise UnusableChampion(label, _first_line(error)) from error
    return _folder_at(home, place, label=label)


def _folder_at(home: Home, place: str, *, label: str) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        own = _own_folder(home, place)
        root = own or Path(download_artifacts(artifact_uri=place, tracking_uri=home.tracking_uri))
    except (MlflowException, OSError) as error:
        raise UnusableChampion(label, f"its files cannot be had: {_first_line(error)}") from error
    folders = sorted(path.parent for path in root.rglob(MODEL_FILE))
    if not folders:
        raise UnusableChampion(label, f"there is no {MODEL_FILE} in {root}; train again")
    return folders[0]


def run_folder(home: Home, task: str, version: str) -> Path:
    """Return the local folder of all that a version's training run logged: its report, plots, reference rows.

    Raises
    ------
    UnusableChampion
        The run is gone, or its artifacts cannot be had.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    client = _client(home)
    try:
        run = client.get_run(client.get_model_version(f"regulars-{task}", version).run_id)
        own = _own_folder(home, run.info.artifact_uri)
        return own or Path(download_artifacts(artifact_uri=run.info.artifact_uri, tracking_uri=home.tracking_uri))
    except (MlflowException, OSError) as error:
        reason = f"what its training logged cannot be had: {_first_line(error)}"
        raise UnusableChampion(f"regulars-{task}/{version}", reason) from error


def _own_folder(home: Home, place: str) -> Path | None:
    """Return this home's own copy of artifacts, None where it has none: MLflow's addresses do not move with it."""
    parts = Path(unquote(urlsplit(place).path)).parts
    below = (parts[index + 1 :] for index, part in enumerate(parts) if part == home.artifacts.name)
    folders = (home.artifacts.joinpath(*rest) for rest in below if rest)
    return next((folder for folder in folders if folder.is_dir()), None)


def _client(home: Home) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=home.tracking_uri, registry_uri=home.tracking_uri)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _hush_mlflow() -> None:
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import mlflow  # noqa: F401 - it turns on the warnings of its own modules, for developers

    warnings.filterwarnings("ignore", module=r"mlflow\.")
