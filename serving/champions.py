"""The models that answer: each task's `champion` in the MLflow registry, read and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facts.errors import NotYet
from features.inputs import input_hash
from features.recommending.candidates import candidate_hash
from scoring.answers import FeatureMismatch
from scoring.model import TaskModel
from scoring.model_files import MODEL_FILE
from scoring.ranker import Ranker
from scoring.registry import UnusableChampion, read_champion, read_recommender
from serving.schema import TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facts.home import Home

KINDS = {"repurchase": "probability", "churn": "probability", "clv": "amount", "next_order": "days"}


def read_champions(home: Home) -> Mapping[str, TaskModel]:
    """Read the champion of every task that has one, as `find_champions`; raise NotYet where no task has one."""
    found = find_champions(home)
    if not found:
        raise NotYet("champion of any task", advice="run `regulars train` first")
    return found


def find_champions(home: Home) -> Mapping[str, TaskModel]:
    """Read the champion of every task that has one; a shop may have none yet, and sends events all the same.

    Returns
    -------
    The models by task, under their registered version, in the order of `TASKS`.

    Raises
    ------
    FeatureMismatch
        A champion was trained on another feature list than the catalog's.
    UnusableChampion
        A champion's files are missing or damaged; the message names them.
    """
    return {task: model for task in TASKS if (model := _read_checked(home, task)) is not None}


def find_recommender(home: Home) -> Ranker | None:
    """Read the recommender's champion, None where there is none; raise as `find_champions` does."""
    ranker = read_recommender(home)
    if ranker is not None and ranker.feature_hash != candidate_hash():
        raise FeatureMismatch(ranker.label, ranker.feature_hash, candidate_hash(), where="this version")
    return ranker


def no_champion() -> NotYet:
    """Return what a service without a champion says to who asks for a score."""
    advice = "run `regulars train` (`regulars status` says what was refused), then start the service again"
    return NotYet("champion of any task", advice=advice)


def _read_checked(home: Home, task: str) -> TaskModel | None:
    model = read_champion(home, task)
    if model is not None:
        _check(model, task)
    return model


def _check(model: TaskModel, task: str) -> None:
    label = model.label
    if (model.task, model.kind) != (task, KINDS[task]):
        raise UnusableChampion(label, f"it holds a model of {model.task!r} that predicts a {model.kind}")
    if model.kind != "probability" and model.quantiles is None:
        raise UnusableChampion(label, "it has no interval; train again")
    if model.kind == "amount" and not model.currency:
        raise UnusableChampion(label, "it names no currency")
    if model.feature_hash != input_hash(model.features):
        raise FeatureMismatch(label, model.feature_hash, input_hash(model.features), where="the catalog")
    if model.gate.feature not in model.features:
        raise UnusableChampion(label, f"{MODEL_FILE} contradicts itself; train again")
