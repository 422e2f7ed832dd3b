"""How good every answer is, on the same resamples of the customers: estimates, paired differences, distances closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.parts import Kind
from training.evaluation import DRAWS
from training.metrics import METRICS, Estimate, Floats, Metric, Weights, bootstrap_blocks, goodness
from training.metrics.bootstrap import summary
from training.metrics.pairs import comparable
from training.metrics.weighted import mean, ratio


def _correlation(actual: Floats, predicted: Floats, weights: Weights) -> Floats:
    apart = [values - values.mean() for values in (actual, predicted)]
    means = [mean(values, weights) for values in apart]
    spreads = [mean(v * v, weights) - m * m for v, m in zip(apart, means, strict=True)]
    return ratio(mean(apart[0] * apart[1], weights) - means[0] * means[1], np.sqrt(spreads[0] * spreads[1]))


CORRELATION = Metric(
    name="correlation",
    description="Pearson's correlation of prediction and outcome.",
    direction="higher",
    compute=_correlation,
)


def metrics_of(kind: Kind, *, is_of_orders: bool) -> tuple[Metric, ...]:
    """Return what is measured; by the first two the project is held against the others."""
    if kind == "probability":
        names = ("auc", "log_loss", "brier", "adaptive_calibration_error")
    else:
        names = ("mae", "rmse") if is_of_orders else ("mae", "spearman", "rmse", "normalised_gini")
    found = [METRICS[kind][name] for name in names]
    if is_of_orders:
        found.insert(1, CORRELATION)
    return (*found, METRICS[kind]["total_ratio"]) if kind == "amount" else tuple(found)


@dataclass(frozen=True, slots=True)
class Measured:
    """Every metric of every answer: on the customers themselves, then on each resample of them."""

    metrics: tuple[Metric, ...]
    replicates: Mapping[str, Mapping[str, Floats]]

    def estimate(self, name: str, metric: Metric) -> Estimate:
        """Return a metric of an answer."""
        return summary(self.replicates[name][metric.name])

    def advantage(self, name: str, other: str, metric: Metric) -> Estimate:
        """Return how much better one answer is than another; positive is better."""
        return summary(self._good(name, metric) - self._good(other, metric))

    def closed(self, name: str, metric: Metric, *, floor: str, limit: str) -> Estimate:
        """Return the share that an answer closes of the distance from one to another."""
        start, end = self._good(floor, metric), self._good(limit, metric)
        return summary(ratio(self._good(name, metric) - start, end - start))

    def _good(self, name: str, metric: Metric) -> Floats:
        return goodness(metric, self.replicates[name][metric.name])


def measure(
    metrics: Sequence[Metric], actual: Floats, answers: Mapping[str, Floats], *, seed: int, draws: int = DRAWS
) -> Measured:
    """Measure every answer on the same resamples."""
    pairs = {name: comparable(actual, said) for name, said in answers.items()}
    found: dict[str, dict[str, list[Floats]]] = {name: {m.name: [] for m in metrics} for name in pairs}
    for weights in (np.ones((1, len(actual)), np.float32), *bootstrap_blocks(len(actual), draws=draws, seed=seed)):
        for name, pair in pairs.items():
            for metric in metrics:
                found[name][metric.name].append(metric.compute(*pair, weights))
    joined = {name: {m: np.concatenate(parts) for m, parts in by.items()} for name, by in found.items()}
    return Measured(tuple(metrics), joined)
