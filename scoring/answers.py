"""From features to answers: the one way in which the endpoint and batch scoring judge and score customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facts.errors import RegularsError
from scoring.model import TaskModel

Status = Literal["ok", "unknown_customer", "insufficient_data", "stale_features"]


class FeatureMismatch(RegularsError):  # noqa: N818
    """A model and the features it is offered disagree by name or order."""

    def __init__(self, model: str, expected: str, found: str, *, where: str) -> None:
        super().__init__(
            f"{model} was trained on feature list {expected}, {where} holds {found}; it is not served: "
            "build the features and train again, or bring the matching catalog back"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRows:
    """What is known of some customers, in the order of the request.

    `matrix` is (n, features) float32 in catalog order; a customer of whom nothing is known has `features_as_of` None.
    """

    customer_ids: Sequence[str]
    features: tuple[str, ...]
    feature_hash: str
    matrix: NDArray[np.float32]
    features_as_of: Sequence[datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One status per customer, why it is not ok, and a score per task (NaN where the status is not ok)."""

    statuses: tuple[Status, ...]
    details: tuple[str | None, ...]
    scores: Mapping[str, NDArray[np.float64]]


def answer(rows: FeatureRows, models: Mapping[str, TaskModel], *, at: datetime, ttl: timedelta) -> Answers:
    """Judge and score customers as of an instant.

    Parameters
    ----------
    rows
        Their features; those newer than `at` are not known yet.
    models
        The models asked, by task.
    at, ttl
        Now, and how old features may be.

    Raises
    ------
    FeatureMismatch
        A model was trained on another feature list.
    """
    for model in models.values():
        if model.feature_hash != rows.feature_hash:
            raise FeatureMismatch(model.label, model.feature_hash, rows.feature_hash, where="the feature store")
    judged = [_judge(rows, index, models, at=at, ttl=ttl) for index in range(len(rows.customer_ids))]
    is_ok = np.array([status == "ok" for status, _ in judged], dtype=bool)
    scores = {}
    for task, model in models.items():
        scores[task] = np.full(len(judged), np.nan)
        scores[task][is_ok] = model.score(rows.matrix[is_ok])
    return Answers(
        statuses=tuple(status for status, _ in judged), details=tuple(why for _, why in judged), scores=scores
    )


def _judge(
    rows: FeatureRows, index: int, models: Mapping[str, TaskModel], *, at: datetime, ttl: timedelta
) -> tuple[Status, str | None]:
    as_of = rows.features_as_of[index]
    if as_of is None or as_of > at:
        return "unknown_customer", "no order of this customer was known"
    if at - as_of > ttl:
        return "stale_features", f"features are {(at - as_of) / timedelta(days=1):.1f} days old, {ttl.days} are allowed"
    for model in models.values():
        found = float(rows.matrix[index, rows.features.index(model.gate.feature)])
        if not found >= model.gate.at_least:
            return "insufficient_data", f"{model.gate}, found {found:g}"
    return "ok", None
