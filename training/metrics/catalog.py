"""Every metric: one record each, and what it computes under weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scoring.parts import Kind
from training.metrics.deciles import DECILE_COUNT, decile_means
from training.metrics.pairs import Floats, Weights
from training.metrics.weighted import mean, rank_covariance, ratio, row_ranks, tie_groups

# Keeps the loss of a sure and wrong prediction finite; below this, float64 cannot tell 1 - p from 1.
LOG_LOSS_FLOOR = 1e-15
PROBABILITY_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measure of a prediction.

    `compute` takes actual (rows,), predicted (rows,) and weights (draws, rows), and answers (draws,); a draw in which
    the metric is not defined, such as the AUC of one class, is NaN. `direction` says what is better: higher, lower, or
    nearer to one. `unit` is empty for a plain number.
    """

    name: str
    description: str
    direction: Literal["higher", "lower", "one"]
    compute: Callable[[Floats, Floats, Weights], Floats]
    unit: str = ""


def _auc(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    positives, negatives = weights @ actual, weights @ (1 - actual)
    return 0.5 + ratio(rank_covariance(actual, predicted, weights), positives * negatives)


def _average_precision(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    ties = tie_groups(-predicted)
    positives = ties.sums(weights * actual)
    found, shown = np.cumsum(positives, axis=1), np.cumsum(ties.sums(weights), axis=1)
    # Where the first groups weigh nothing, none are shown and none found: any divisor gives the zero that is wanted.
    precision = found / np.where(shown > 0, shown, 1.0)
    return ratio(np.einsum("dg,dg->d", positives, precision), found[:, -1])


def _log_loss(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    probability = np.clip(predicted, LOG_LOSS_FLOOR, 1 - LOG_LOSS_FLOOR)
    return mean(-np.where(actual == 1, np.log(probability), np.log1p(-probability)), weights)


def _squared_error(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return mean((actual - predicted) ** 2, weights)


def _decile_gap(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    gaps: Floats = np.abs(decile_means(actual - predicted, predicted, weights)).mean(axis=1)
    return gaps


def _width_gap(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    own = np.clip((predicted * PROBABILITY_BINS).astype(int), 0, PROBABILITY_BINS - 1)
    apart = np.where(own[:, None] == np.arange(PROBABILITY_BINS), (actual - predicted)[:, None], 0.0)
    gaps: Floats = np.abs(weights @ apart).sum(axis=1) / weights.sum(axis=1, dtype=np.float64)
    return gaps


def _top_decile_lift(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return ratio(decile_means(actual, predicted, weights)[:, 0], mean(actual, weights))


def _top_decile_gain(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _top_decile_lift(actual, predicted, weights) / DECILE_COUNT


def _mae(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return mean(np.abs(actual - predicted), weights)


def _rmse(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return np.sqrt(_squared_error(actual, predicted, weights))


def _spearman(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    actual_ranks, predicted_ranks = (row_ranks(score, weights) for score in (actual, predicted))
    spread = rank_covariance(actual_ranks, actual, weights) * rank_covariance(predicted_ranks, predicted, weights)
    return ratio(rank_covariance(actual_ranks, predicted, weights), np.sqrt(spread))


def _normalised_gini(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return ratio(rank_covariance(actual, predicted, weights), rank_covariance(actual, actual, weights))


def _total_ratio(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return ratio(weights @ predicted, weights @ actual)


def _decile_calibration_error(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return ratio(_decile_gap(actual, predicted, weights), mean(actual, weights))


PROBABILITY_METRICS = (
    Metric(
        name="auc",
        description="How often a positive is scored above a negative, ties counting half (Hanley & McNeil 1982).",
        direction="higher",
        compute=_auc,
    ),
    Metric(
        name="average_precision",
        description="Mean precision over the recall gained at each distinct score, without interpolation.",
        direction="higher",
        compute=_average_precision,
    ),
    Metric(
        name="log_loss",
        description="Mean negative log-likelihood in nats, probabilities kept 1e-15 away from 0 and 1.",
        direction="lower",
        compute=_log_loss,
        unit="nats",
    ),
    Metric(
        name="brier",
        description="Mean squared difference of the probability and the outcome (Brier 1950).",
        direction="lower",
        compute=_squared_error,
    ),
    Metric(
        name="expected_calibration_error",
        description="Mean over ten bins of equal width, by their count, of |mean probability - observed rate| (Guo et "
        "al. 2017, 'On calibration of modern neural networks').",
        direction="lower",
        compute=_width_gap,
    ),
    Metric(
        name="adaptive_calibration_error",
        description="The same over ten bins of equal count, which part probabilities that lie close together (Nixon et "
        "al. 2019, 'Measuring calibration in deep learning').",
        direction="lower",
        compute=_decile_gap,
    ),
    Metric(
        name="top_decile_lift",
        description="Rate of positives in the top 10 % of scores over the overall rate.",
        direction="higher",
        compute=_top_decile_lift,
    ),
    Metric(
        name="top_decile_gain",
        description="Share of all positives that lie in the top 10 % of scores.",
        direction="higher",
        compute=_top_decile_gain,
    ),
)

AMOUNT_METRICS = (
    Metric(
        name="mae",
        description="Mean absolute error, in the amount's currency.",
        direction="lower",
        compute=_mae,
        unit="shop's currency",
    ),
    Metric(
        name="rmse",
        description="Root of the mean squared error, in the amount's currency.",
        direction="lower",
        compute=_rmse,
        unit="shop's currency",
    ),
    Metric(
        name="spearman",
        description="Correlation of the mid-ranks of prediction and outcome.",
        direction="higher",
        compute=_spearman,
    ),
    Metric(
        name="normalised_gini",
        description="Gini index of the amounts ordered by prediction over that ordered by themselves: 1 is the perfect "
        "order, 0 a random one (Frees, Meyers & Cummings 2011; Wang, Liu & Miao 2019 for lifetime value).",
        direction="higher",
        compute=_normalised_gini,
    ),
    Metric(
        name="total_ratio",
        description="Sum of the predictions over the sum of the amounts.",
        direction="one",
        compute=_total_ratio,
    ),
    Metric(
        name="decile_calibration_error",
        description="Mean over deciles of the prediction of |mean predicted - mean actual|, over the mean actual.",
        direction="lower",
        compute=_decile_calibration_error,
    ),
)

_BY_NAME = {metric.name: metric for metric in AMOUNT_METRICS}
DAYS_METRICS = (
    replace(
        _BY_NAME["mae"], description="Mean absolute error; an order beyond the horizon counts as its end.", unit="days"
    ),
    replace(_BY_NAME["rmse"], description="Root of the mean squared error, in days.", unit="days"),
    _BY_NAME["spearman"],
)

METRICS: dict[Kind, dict[str, Metric]] = {
    "probability": {metric.name: metric for metric in PROBABILITY_METRICS},
    "amount": {metric.name: metric for metric in AMOUNT_METRICS},
    "days": {metric.name: metric for metric in DAYS_METRICS},
}
