"""How sure of a metric we are: the same resamples of the rows for everything that is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.parts import Kind
from training.metrics.catalog import METRICS, Metric
from training.metrics.pairs import Floats, check_label, comparable

INTERVAL_PERCENTILES = (2.5, 97.5)
# A metric holds some five float64 tables of a block's size at once: 40 MB, and small blocks stay in the cache.
BLOCK_CELLS = 1_000_000


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

    def __format__(self, spec: str) -> str:
        """Write "value (low to high)", each by the same format, four significant digits if none is given."""
        value, low, high = (format(figure, spec or ".4g") for figure in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"

    def __str__(self) -> str:
        return format(self, "")


def bootstrap_weights(row_count: int, *, draws: int, seed: int) -> NDArray[np.float32]:
    """How often each row occurs in each resample: (draws, row_count), every draw sums to row_count.

    Rows are drawn as if they were independent: of a table with several cutoffs a customer, the intervals come out too
    narrow. The whole table is held, four bytes a cell; `bootstrap_blocks` gives the same draws a few at a time.
    """
    return np.concatenate([np.empty((0, row_count), np.float32), *bootstrap_blocks(row_count, draws=draws, seed=seed)])


def bootstrap_blocks(
    row_count: int, *, draws: int, seed: int, clusters: Sequence[object] | None = None
) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of `bootstrap_weights` in blocks, so that memory does not grow with the number of draws.

    With up to two million rows an estimate holds less than 200 MB for its resamples; beyond, a single draw holds more.
    Where `clusters` names whose each row is, whole clusters are drawn, and a draw sums to as many rows as they have.
    """
    if clusters is not None:
        yield from _cluster_blocks(clusters, row_count, draws=draws, seed=seed)
        return
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
    return summary(_replicates([metric], actual, {"predicted": predicted}, draws=draws, seed=seed)[0, 0])


@dataclass(frozen=True, slots=True)
class Measured:
    """Every metric of a kind for every predictor, on the sample itself and on the same resamples of it.

    `table` is (predictors, metrics, 1 + draws).
    """

    kind: Kind
    predictors: tuple[str, ...]
    table: Floats

    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """Return each metric with its interval: `[predictor][metric]`."""
        return {
            predictor: {name: summary(replicates) for name, replicates in zip(METRICS[self.kind], rows, strict=True)}
            for predictor, rows in zip(self.predictors, self.table, strict=True)
        }

    def advantage(self, name: str, predictor: str, reference: str) -> Estimate:
        """Return how much better a predictor is than another by a metric, in its units: positive is better.

        For a metric that is best at one it is the reduction of the distance to one. Both are computed on the same
        resamples, so what they have in common cancels and the interval is narrower than that of either.
        """
        metrics = METRICS[self.kind]
        good = goodness(metrics[name], self.table[:, list(metrics).index(name)])
        return summary(good[self.predictors.index(predictor)] - good[self.predictors.index(reference)])


def measure_all(
    kind: Kind,
    actual: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    *,
    draws: int,
    seed: int,
    clusters: Sequence[object] | None = None,
) -> Measured:
    """Compute every metric of a kind for every predictor.

    Where `clusters` names whose each row is, whole clusters are drawn instead of rows: the rows of one are not
    independent, and intervals over rows would be too narrow.

    References
    ----------
    Field & Welsh (2007), "Bootstrapping clustered data".

    Raises
    ------
    UnusablePredictionsError : as for `estimate`, or a probability's label is neither 0 nor 1.
    """
    check_label(kind, np.asarray(actual, np.float64))
    metrics = list(METRICS[kind].values())
    table = _replicates(metrics, actual, predictions, draws=draws, seed=seed, clusters=clusters)
    return Measured(kind, tuple(predictions), table)


def estimate_all(
    kind: Kind,
    actual: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    *,
    draws: int,
    seed: int,
    clusters: Sequence[object] | None = None,
) -> dict[str, dict[str, Estimate]]:
    """Return the estimates of `measure_all`: `[predictor][metric]`."""
    return measure_all(kind, actual, predictions, draws=draws, seed=seed, clusters=clusters).estimates()


def paired_difference(
    metric: Metric,
    actual: ArrayLike,
    predicted: ArrayLike,
    reference: ArrayLike,
    *,
    draws: int,
    seed: int,
    clusters: Sequence[object] | None = None,
) -> Estimate:
    """How much better `predicted` is than `reference` by one metric: `Measured.advantage`, where no other is needed.

    `clusters` is as for `measure_all`.

    Raises
    ------
    UnusablePredictionsError : as for `estimate`.
    """
    both = {"predicted": predicted, "reference": reference}
    replicates = _replicates([metric], actual, both, draws=draws, seed=seed, clusters=clusters)
    good = goodness(metric, replicates[:, 0])
    return summary(good[0] - good[1])


def _replicates(
    metrics: list[Metric],
    actual: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    *,
    draws: int,
    seed: int,
    clusters: Sequence[object] | None = None,
) -> Floats:
    """Each metric on the sample itself, then on each resample: (predictors, metrics, 1 + draws)."""
    pairs = [comparable(actual, predicted) for predicted in predictions.values()]
    row_count = np.size(actual)
    sample = np.ones((1, row_count), np.float32)
    blocks = chain([sample], bootstrap_blocks(row_count, draws=draws, seed=seed, clusters=clusters))
    return np.concatenate(
        [[[metric.compute(*pair, weights) for metric in metrics] for pair in pairs] for weights in blocks], axis=2
    )


def _cluster_blocks(
    clusters: Sequence[object], row_count: int, *, draws: int, seed: int
) -> Iterator[NDArray[np.float32]]:
    """Yield weights that draw whole clusters: every row as often as its cluster was drawn."""
    names, cluster_of_row = np.unique(np.asarray(clusters), return_inverse=True)
    parts = -(-row_count // len(names))  # a block has a weight per cluster; per row it would be so much larger
    for block in bootstrap_blocks(len(names), draws=draws, seed=seed):
        for part in np.array_split(block, min(parts, len(block))):
            yield part[:, cluster_of_row]


def summary(replicates: Floats) -> Estimate:
    """Summarise the sample's value and its resamples, leaving out those in which the metric is not defined."""
    resampled = replicates[1:][np.isfinite(replicates[1:])]
    low, high = np.percentile(resampled, INTERVAL_PERCENTILES) if len(resampled) else (np.nan, np.nan)
    return Estimate(value=float(replicates[0]), low=float(low), high=float(high))


def goodness(metric: Metric, values: Floats) -> Floats:
    """Return values of a metric so that more is better, whatever its direction."""
    return {"higher": values, "lower": -values, "one": -np.abs(values - 1.0)}[metric.direction]
