"""How good a prediction is, and how sure of it we are: weighted metrics, so that a bootstrap is one matrix pass.

Every metric takes weights of shape (draws, rows) and answers one number a draw. A whole-number weight means exactly
what repeating the row would, ties included: equal predictions are never ordered by the accident of their position.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind: TypeAlias = Literal["probability", "amount"]
Floats: TypeAlias = NDArray[np.float64]
Weights: TypeAlias = NDArray[np.floating]

DECILE_COUNT = 10
INTERVAL_PERCENTILES = (2.5, 97.5)
# A metric holds some five float64 tables of a block's size at once: 40 MB, and small blocks stay in the cache.
BLOCK_CELLS = 1_000_000
# Keeps the loss of a sure and wrong prediction finite; below this, float64 cannot tell 1 - p from 1.
LOG_LOSS_FLOOR = 1e-15


class UnusablePredictionsError(ValueError):
    """The actual and the predicted values cannot be compared: empty, uneven, not finite, or not the label's kind."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A metric on the sample itself, and its 95 % percentile bootstrap interval, in the metric's units.

    Calibration errors are means of absolute values, which resampling inflates: their `value` lies in the lower part of
    the interval, at times below it.

    References
    ----------
    Efron & Tibshirani (1993), "An introduction to the bootstrap", chapter 13.
    """

    value: float
    low: float
    high: float


def bootstrap_weights(row_count: int, *, draws: int, seed: int) -> NDArray[np.float32]:
    """How often each row occurs in each resample: (draws, row_count), every draw sums to row_count.

    Rows are drawn as if they were independent: of a table with several cutoffs a customer, the intervals come out too
    narrow. The whole table is held, four bytes a cell; `bootstrap_blocks` gives the same draws a few at a time.
    """
    return np.concatenate([np.empty((0, row_count), np.float32), *bootstrap_blocks(row_count, draws=draws, seed=seed)])


def bootstrap_blocks(row_count: int, *, draws: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of `bootstrap_weights` in blocks, so that memory does not grow with the number of draws.

    With up to two million rows an estimate holds less than 200 MB for its resamples; beyond, a single draw holds more.
    """
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_CELLS // max(1, row_count))
    for start in range(0, draws, block):
        weights = np.empty((min(block, draws - start), row_count), np.float32)
        for row in weights:
            row[:] = np.bincount(generator.integers(row_count, size=row_count), minlength=row_count)
        yield weights


def estimate(metric: Metric, actual: ArrayLike, predicted: ArrayLike, *, draws: int, seed: int) -> Estimate:
    """Compute one metric with its interval.

    Raises
    ------
    UnusablePredictionsError : nothing to compare, lengths differ, or a value is missing or infinite.
    """
    return _summary(_replicates([metric], actual, {"predicted": predicted}, draws=draws, seed=seed)[0, 0])


def estimate_all(
    kind: Kind, actual: ArrayLike, predictions: Mapping[str, ArrayLike], *, draws: int, seed: int
) -> dict[str, dict[str, Estimate]]:
    """Compute every metric of a kind for every predictor, on the same resamples: `[predictor][metric]`.

    Raises
    ------
    UnusablePredictionsError : as for `estimate`, or a probability's label is neither 0 nor 1.
    """
    metrics = METRICS[kind]
    _check_label(kind, np.asarray(actual, np.float64))
    table = _replicates(list(metrics.values()), actual, predictions, draws=draws, seed=seed)
    return {
        predictor: {name: _summary(replicates) for name, replicates in zip(metrics, rows, strict=True)}
        for predictor, rows in zip(predictions, table, strict=True)
    }


def paired_difference(
    metric: Metric, actual: ArrayLike, predicted: ArrayLike, reference: ArrayLike, *, draws: int, seed: int
) -> Estimate:
    """How much better `predicted` is than `reference`, in the metric's units: positive is better, in any direction.

    For a metric that is best at one it is the reduction of the distance to one. Both are computed on the same
    resamples, so what they have in common cancels and the interval is narrower than that of either.

    Raises
    ------
    UnusablePredictionsError : as for `estimate`.
    """
    both = {"predicted": predicted, "reference": reference}
    goodness = _goodness(metric, _replicates([metric], actual, both, draws=draws, seed=seed)[:, 0])
    return _summary(goodness[0] - goodness[1])


def decile_means(values: Floats, predicted: Floats, weights: Weights) -> Floats:
    """Mean of `values` in each tenth of the weight, in order of the prediction, highest first: (draws, 10).

    A row on a border is split between its two tenths, and so are rows of equal prediction, pro rata: that is what
    breaking the ties at random gives on average.
    """
    ties = _tie_groups(-predicted)
    mass, total = _cumulative(ties.sums(weights)), _cumulative(ties.sums(weights * values))
    borders = mass[:, -1:] * np.linspace(0.0, 1.0, DECILE_COUNT + 1)
    at_borders = np.stack([np.interp(*curve) for curve in zip(borders, mass, total, strict=True)])
    means: Floats = np.diff(at_borders, axis=1) * DECILE_COUNT / mass[:, -1:]
    return means


def decile_table(kind: Kind, actual: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Build one row per decile of the prediction, 1 is the highest.

    Columns: `decile`; `rows`, a tenth of all (a fraction where ten does not divide them); `mean_predicted`;
    `observed`, the rate or the mean amount; `lift`, observed over the overall mean; `cumulative_gain_rate`, the share
    of all positives or of the whole amount that lies in this decile and those above.

    Raises
    ------
    UnusablePredictionsError : as for `estimate_all`.
    """
    truth, score = _comparable(actual, predicted)
    _check_label(kind, truth)
    once = np.ones((1, len(truth)))
    observed = decile_means(truth, score, once)[0]
    lift = _ratio(observed, np.full(DECILE_COUNT, truth.mean()))
    return pd.DataFrame(
        {
            "decile": np.arange(1, DECILE_COUNT + 1),
            "rows": len(truth) / DECILE_COUNT,
            "mean_predicted": decile_means(score, score, once)[0],
            "observed": observed,
            "lift": lift,
            "cumulative_gain_rate": np.cumsum(lift) / DECILE_COUNT,
        }
    )


def gain_curve(actual: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Share of the rows taken from the highest prediction down, and the share of the actual total they hold.

    Both start at 0 and end at 1; rows of equal prediction are one straight segment.

    Raises
    ------
    UnusablePredictionsError : as for `estimate`.
    """
    truth, score = _comparable(actual, predicted)
    ties = _tie_groups(-score)
    once = np.ones((1, len(truth)))
    taken, held = (_cumulative(ties.sums(cells))[0] for cells in (once, once * truth))
    return taken / taken[-1], _ratio(held, np.full(len(held), held[-1]))


def _replicates(
    metrics: list[Metric], actual: ArrayLike, predictions: Mapping[str, ArrayLike], *, draws: int, seed: int
) -> Floats:
    """Each metric on the sample itself, then on each resample: (predictors, metrics, 1 + draws)."""
    pairs = [_comparable(actual, predicted) for predicted in predictions.values()]
    row_count = np.size(actual)
    sample = np.ones((1, row_count), np.float32)
    blocks = chain([sample], bootstrap_blocks(row_count, draws=draws, seed=seed))
    return np.concatenate(
        [[[metric.compute(*pair, weights) for metric in metrics] for pair in pairs] for weights in blocks], axis=2
    )


def _summary(replicates: Floats) -> Estimate:
    """Summarise the sample's value and its resamples, leaving out those in which the metric is not defined."""
    resampled = replicates[1:][np.isfinite(replicates[1:])]
    low, high = np.percentile(resampled, INTERVAL_PERCENTILES) if len(resampled) else (np.nan, np.nan)
    return Estimate(value=float(replicates[0]), low=float(low), high=float(high))


def _goodness(metric: Metric, values: Floats) -> Floats:
    return {"higher": values, "lower": -values, "one": -np.abs(values - 1.0)}[metric.direction]


def _comparable(actual: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    truth, score = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    if truth.ndim != 1 or truth.shape != score.shape or not truth.size:
        raise UnusablePredictionsError(
            f"needs one prediction for each of at least one row, got shapes {truth.shape} and {score.shape}"
        )
    for name, values in (("actual", truth), ("predicted", score)):
        if not (finite := np.isfinite(values)).all():
            raise UnusablePredictionsError(
                f"{(~finite).sum()} of {values.size} {name} values are missing or infinite, "
                f"the first at row {finite.argmin()}; leave those rows out or fill them before the comparison"
            )
    return truth, score


def _check_label(kind: Kind, actual: Floats) -> None:
    strange = actual[np.isfinite(actual) & (actual != 0) & (actual != 1)]
    if kind == "probability" and strange.size:
        raise UnusablePredictionsError(f"a probability is compared with labels 0 and 1, got {strange[0]:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _TieGroups:
    """Rows in ascending order of a score, those with an equal score as one group."""

    group_of_row: NDArray[np.intp]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    def sums(self, cells: Weights) -> Floats:
        """Sum (draws, rows) within each group: (draws, groups)."""
        ordered = cells[:, self.order]
        if len(self.starts) == len(self.order):
            return ordered.astype(np.float64, copy=False)
        summed: Floats = np.add.reduceat(ordered, self.starts, axis=1, dtype=np.float64)
        return summed


def _tie_groups(score: Floats) -> _TieGroups:
    _, group_of_row, counts = np.unique(score, return_inverse=True, return_counts=True)
    order = np.argsort(group_of_row, kind="stable")
    return _TieGroups(group_of_row=group_of_row, order=order, starts=np.cumsum(counts) - counts)


def _cumulative(cells: Floats) -> Floats:
    """Cumulate (draws, groups) along the groups, starting with a column of zeros: (draws, 1 + groups)."""
    return np.pad(np.cumsum(cells, axis=1), ((0, 0), (1, 0)))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide, with NaN where there is nothing to divide by."""
    ratio: Floats = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=ratio, where=denominator != 0)


def _mean(values: Floats, weights: Weights) -> Floats:
    means: Floats = weights @ values / weights.sum(axis=1, dtype=np.float64)
    return means


def _mid_ranks(mass: Floats) -> Floats:
    """Half the weight of the own group and all of those below: the rank that tied rows share, less a half."""
    return np.cumsum(mass, axis=1) - mass / 2


def _rank_covariance(values: Floats, score: Floats, weights: Weights) -> Floats:
    """Total weight times the covariance of `values`, (rows,) or (draws, rows), with the mid-rank of `score`: (draws,).

    AUC, Spearman's correlation and the Gini index are all this covariance, scaled.

    References
    ----------
    Lerman & Yitzhaki (1989), "Improving the accuracy of estimates of Gini coefficients".
    """
    ties = _tie_groups(score)
    mass, sums = ties.sums(weights), ties.sums(weights * values)
    products = np.einsum("dg,dg->d", _mid_ranks(mass), sums)
    covariance: Floats = products - sums.sum(axis=1) * mass.sum(axis=1) / 2
    return covariance


def _auc(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    positives, negatives = weights @ actual, weights @ (1 - actual)
    return 0.5 + _ratio(_rank_covariance(actual, predicted, weights), positives * negatives)


def _average_precision(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    ties = _tie_groups(-predicted)
    positives = ties.sums(weights * actual)
    found, shown = np.cumsum(positives, axis=1), np.cumsum(ties.sums(weights), axis=1)
    # Where the first groups weigh nothing, none are shown and none found: any divisor gives the zero that is wanted.
    precision = found / np.where(shown > 0, shown, 1.0)
    return _ratio(np.einsum("dg,dg->d", positives, precision), found[:, -1])


def _log_loss(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    probability = np.clip(predicted, LOG_LOSS_FLOOR, 1 - LOG_LOSS_FLOOR)
    return _mean(-np.where(actual == 1, np.log(probability), np.log1p(-probability)), weights)


def _squared_error(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _mean((actual - predicted) ** 2, weights)


def _decile_gap(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    gaps: Floats = np.abs(decile_means(actual - predicted, predicted, weights)).mean(axis=1)
    return gaps


def _top_decile_lift(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _ratio(decile_means(actual, predicted, weights)[:, 0], _mean(actual, weights))


def _top_decile_gain(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _top_decile_lift(actual, predicted, weights) / DECILE_COUNT


def _mae(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _mean(np.abs(actual - predicted), weights)


def _rmse(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return np.sqrt(_squared_error(actual, predicted, weights))


def _spearman(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    actual_ranks, predicted_ranks = (_row_ranks(score, weights) for score in (actual, predicted))
    spread = _rank_covariance(actual_ranks, actual, weights) * _rank_covariance(predicted_ranks, predicted, weights)
    return _ratio(_rank_covariance(actual_ranks, predicted, weights), np.sqrt(spread))


def _row_ranks(score: Floats, weights: Weights) -> Floats:
    ties = _tie_groups(score)
    ranks: Floats = _mid_ranks(ties.sums(weights))[:, ties.group_of_row]
    return ranks


def _normalised_gini(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _ratio(_rank_covariance(actual, predicted, weights), _rank_covariance(actual, actual, weights))


def _total_ratio(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _ratio(weights @ predicted, weights @ actual)


def _decile_calibration_error(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    return _ratio(_decile_gap(actual, predicted, weights), _mean(actual, weights))


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
        description="Mean over ten bins of equal count of |mean probability - observed rate| (after Naeini et al. "
        "2015, 'Obtaining well calibrated probabilities using Bayesian binning').",
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

METRICS: dict[Kind, dict[str, Metric]] = {
    "probability": {metric.name: metric for metric in PROBABILITY_METRICS},
    "amount": {metric.name: metric for metric in AMOUNT_METRICS},
}
