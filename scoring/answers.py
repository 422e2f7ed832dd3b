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
from scoring.model import TaskModel
from scoring.parts import Figures

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
    """One status per customer, why it is not ok, and by task the figures, NaN where the status is not ok.

    `flagged` says by task which customers have more to come.
    """

    statuses: tuple[Status, ...]
    details: tuple[str | None, ...]
    figures: Mapping[str, Figures]
    flagged: Mapping[str, NDArray[np.bool_]]


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
    statuses, details = _judge(rows, models, at=at, ttl=ttl)
    is_ok = np.array([status == "ok" for status in statuses], dtype=bool)
    figures = {}
    for task, model in models.items():
        matrix = rows.of_model(model)
        figures[task] = model.figures(matrix) if is_ok.all() else model.figures(matrix[is_ok]).among(is_ok)
    flagged = {task: model.flagged(figures[task]) for task, model in models.items()}
    return Answers(statuses=tuple(statuses), details=tuple(details), figures=figures, flagged=flagged)


@lru_cache(maxsize=64)  # asked for by every request
def places(label: str, wanted: tuple[str, ...], offered: tuple[str, ...]) -> list[int]:
    """Return where each of a model's features stands among those offered; raise MissingFeatures where one does not."""
    place = {name: index for index, name in enumerate(offered)}
    if missing := [name for name in wanted if name not in place]:
        raise MissingFeatures(label, missing)
    return [place[name] for name in wanted]


def _judge(
    rows: FeatureRows, models: Mapping[str, TaskModel], *, at: datetime, ttl: timedelta
) -> tuple[list[Status], list[str | None]]:
    """Return each customer's status, and why it is not ok."""
    by_age = {as_of: _judge_age(as_of, at=at, ttl=ttl) for as_of in dict.fromkeys(rows.features_as_of)}
    statuses = [by_age[as_of][0] for as_of in rows.features_as_of]
    details = [by_age[as_of][1] for as_of in rows.features_as_of]
    for model in models.values():
        found = rows.matrix[:, rows.features.index(model.gate.feature)]
        for index in np.flatnonzero(~(found >= model.gate.at_least)).tolist():
            if statuses[index] == "ok":
                statuses[index] = "insufficient_data"
                details[index] = _why_too_little(model, float(found[index]), rows.features_as_of[index])
    return statuses, details


def _judge_age(as_of: datetime | None, *, at: datetime, ttl: timedelta) -> tuple[Status, str | None]:
    if as_of is None or as_of > at:
        return "unknown_customer", "no order of this customer was known"
    if at - as_of > ttl:
        return "stale_features", f"features are {(at - as_of) / timedelta(days=1):.1f} days old, {ttl.days} are allowed"
    return "ok", None


def _why_too_little(model: TaskModel, found: float, as_of: datetime | None) -> str:
    if np.isnan(found):
        return f"the first order came after the last snapshot, {as_of:%Y-%m-%d %H:%M} UTC"
    return f"{model.gate}, found {found:g}"
