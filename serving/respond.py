"""From a request, what is known and the models to the results: pure, the service does the reading around it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import numpy as np

from features.store import TTL
from scoring.answers import Answers, FeatureRows, answer
from scoring.reasons import Explanation, explain
from serving.schema import (
    AmountScore,
    CustomerResult,
    DaysScore,
    PotentialGiven,
    ProbabilityScore,
    ReasonGiven,
    ReasonsSum,
    ScoreRequest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from scoring.model import TaskModel
    from scoring.parts import Figures
    from serving.schema import Task


def respond(
    request: ScoreRequest, rows: FeatureRows, models: Mapping[str, TaskModel], *, at: datetime, currency: str
) -> list[CustomerResult]:
    """Answer a request as of an instant.

    Parameters
    ----------
    request
        Whom and how much; its tasks are settled already.
    rows
        What is known of each different customer of the request.
    models
        The models asked, by task.
    currency
        The shop's, in which reasons speak of amounts.

    Returns
    -------
    One result for each id of the request, in its order.

    Raises
    ------
    MissingFeatures
        A model was trained on features that the rows do not have.
    """
    answers = answer(rows, models, at=at, ttl=TTL)
    given = _explained(rows, answers, models, count=request.reasons, currency=currency)
    results = {
        customer_id: _result(rows, answers, models, row, at=at, explained=given[row], tell_features=request.features)
        for row, customer_id in enumerate(rows.customer_ids)
    }
    return [results[customer_id] for customer_id in request.customer_ids]


def _result(
    rows: FeatureRows,
    answers: Answers,
    models: Mapping[str, TaskModel],
    row: int,
    *,
    at: datetime,
    explained: Mapping[str, Explanation],
    tell_features: bool,
) -> CustomerResult:
    as_of = rows.features_as_of[row]
    is_known = as_of is not None and as_of <= at  # features newer than the instant are not known at it
    is_ok = answers.statuses[row] == "ok"
    scores = {task: _score(model, rows, answers, row, at=at) for task, model in models.items()} if is_ok else {}
    return CustomerResult(
        customer_id=rows.customer_ids[row],
        status=answers.statuses[row],
        detail=answers.details[row],
        features_as_of=as_of if is_known else None,
        reasons=[given for task, told in explained.items() for given in _given(task, told)],
        reasons_sum=[_sum(task, told) for task, told in explained.items()] or None,
        features=_told(rows, row) if tell_features and is_known else None,
        **scores,  # each task's field has the score of its kind
    )


def _score(
    model: TaskModel, rows: FeatureRows, answers: Answers, row: int, *, at: datetime
) -> ProbabilityScore | AmountScore | DaysScore:
    figures = answers.figures[model.task]
    value = float(figures.score[row])
    if figures.interval is None:
        return ProbabilityScore(probability=value, horizon_days=model.horizon_days, model=model.label)
    low, middle, high = figures.interval[row].tolist()
    if model.kind == "days":
        earliest, expected, latest = (_after(at, days, within=model.horizon_days) for days in (low, middle, high))
        return DaysScore(
            days=middle,
            p10=low,
            p50=middle,
            p90=high,
            expected_at=expected,
            earliest_at=earliest,
            latest_at=latest,
            horizon_days=model.horizon_days,
            model=model.label,
        )
    return AmountScore(
        amount=value,
        mean=float(figures.mean[row]) if figures.mean is not None else value,
        p10=low,
        p50=middle,
        p90=high,
        potential=_potential(model, rows, figures, row) if answers.flagged[model.task][row] else None,
        currency=model.currency or "",
        horizon_days=model.horizon_days,
        model=model.label,
    )


def _potential(model: TaskModel, rows: FeatureRows, figures: Figures, row: int) -> PotentialGiven | None:
    usual, value = model.potential, float(figures.score[row])
    if usual is None or figures.spend_so_far is None:
        return None
    typical = usual.typical[int(usual.band_of(figures.spend_so_far[row : row + 1])[0])]
    spent = float(rows.matrix[row, rows.features.index(usual.feature)])
    return PotentialGiven(
        spend_amount=spent,
        typical_amount=typical,
        reason=f"spent {spent:,.2f} in 365 days, expected to spend {value:,.2f} in {model.horizon_days}: "
        f"customers of equal spend {typical:,.2f} in the middle",
    )


def _after(at: datetime, days: float, *, within: int) -> datetime | None:
    """Return an instant some days later, None where that is beyond the horizon."""
    return None if days >= within else at + timedelta(days=days)


def _explained(
    rows: FeatureRows, answers: Answers, models: Mapping[str, TaskModel], *, count: int, currency: str
) -> Sequence[Mapping[str, Explanation]]:
    """Return by row and task why the score is what it is; nothing where there is none, or nothing was asked."""
    given: list[dict[str, Explanation]] = [{} for _ in rows.customer_ids]
    scored = [row for row, status in enumerate(answers.statuses) if status == "ok"]
    if not (count and scored):
        return given
    for task, model in models.items():
        told = explain(model, rows.of_model(model)[scored], count=count, currency=currency)
        for row, explanation in zip(scored, told, strict=True):
            given[row][task] = explanation
    return given


def _given(task: str, explanation: Explanation) -> list[ReasonGiven]:
    return [
        ReasonGiven(
            task=cast("Task", task),
            name=reason.name,
            statement=reason.statement,
            direction=reason.direction,
            share=reason.share,
            contribution=reason.contribution,
            features=dict(reason.features),
        )
        for reason in explanation.reasons
    ]


def _sum(task: str, told: Explanation) -> ReasonsSum:
    return ReasonsSum(task=cast("Task", task), base=told.base, rest=told.rest, raw=told.raw, scale=told.scale)


def _told(rows: FeatureRows, row: int) -> dict[str, float | None]:
    values = rows.matrix[row].tolist()
    return {name: None if np.isnan(value) else value for name, value in zip(rows.features, values, strict=True)}
