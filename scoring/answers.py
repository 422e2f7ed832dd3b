"""From features to answers: the one way in which the endpoint and batch scoring judge and score customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facts.errors import RegularsError
from scoring.model import QUANTILES, TaskModel

Status = Literal["ok", "unknown_customer", "insufficient_data", "stale_features"]


class MissingFeatures(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A model asks for features that are not there."""

    def __init__(self, model: str, missing: Sequence[str]) -> None:
        named = ", ".join(repr(name) for name in missing[:3]) + (", ..." if len(missing) > 3 else "")  # noqa: PLR2004
        super().__init__(
            f"{model} was trained on {len(missing)} features that are not known here ({named}); it is not served: "
            "build the features and train again, or bring the facts back that they need"
        )


class FeatureMismatch(RegularsError):  # noqa: N818
    """A model, or a store, and the catalog disagree on a list of features by name, order or meaning."""

    def __init__(self, model: str, expected: str, found: str, *, where: str) -> None:
        super().__init__(
            f"{model} was trained on feature list {expected}, {where} holds {found}; it is not served: "
            "build the features and train again, or bring the matching catalog back"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRows:
    """What is known of some customers, in the order of the request.

    `matrix` is (n, features) float32; a customer of whom nothing is known has `features_as_of` None.
    """

    customer_ids: Sequence[str]
    features: tuple[str, ...]
    matrix: NDArray[np.float32]
    features_as_of: Sequence[datetime | None]

    def of_model(self, model: TaskModel) -> NDArray[np.float32]:
        """Return the model's features in its order; raise MissingFeatures where there are others."""
        if model.features == self.features:
            return self.matrix
        return self.matrix[:, places(model.label, model.features, self.features)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One status per customer, why it is not ok, and by task a score and, of some, its (p10, p50, p90).

    Scores and intervals are NaN where the status is not ok.
    """

    statuses: tuple[Status, ...]
    details: tuple[str | None, ...]
    scores: Mapping[str, NDArray[np.float64]]
    intervals: Mapping[str, NDArray[np.float64]]


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
    MissingFeatures
        A model asks for features that the rows do not have.
    """
    judged = [_judge(rows, index, models, at=at, ttl=ttl) for index in range(len(rows.customer_ids))]
    is_ok = np.array([status == "ok" for status, _ in judged], dtype=bool)
    scores, intervals = {}, {}
    for task, model in models.items():
        matrix = rows.of_model(model)[is_ok]
        scores[task] = np.full(len(judged), np.nan)
        scores[task][is_ok] = model.score(matrix)
        if model.quantiles is not None:
            intervals[task] = np.full((len(judged), len(QUANTILES)), np.nan)
            intervals[task][is_ok] = model.interval(matrix)
    return Answers(
        statuses=tuple(status for status, _ in judged),
        details=tuple(why for _, why in judged),
        scores=scores,
        intervals=intervals,
    )


@lru_cache(maxsize=64)  # asked for by every request
def places(label: str, wanted: tuple[str, ...], offered: tuple[str, ...]) -> list[int]:
    """Return where each of a model's features stands among those offered; raise MissingFeatures where one does not."""
    place = {name: index for index, name in enumerate(offered)}
    if missing := [name for name in wanted if name not in place]:
        raise MissingFeatures(label, missing)
    return [place[name] for name in wanted]


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
        if np.isnan(found):
            return "insufficient_data", f"the first order came after the last snapshot, {as_of:%Y-%m-%d %H:%M} UTC"
        if not found >= model.gate.at_least:
            return "insufficient_data", f"{model.gate}, found {found:g}"
    return "ok", None
