"""The test cutoff, touched once: the model beside everything it has to beat, and whether it may be champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facts.errors import GateFailed
from scoring.model import TaskModel
from training.baselines import Baseline, baselines_for
from training.dataset import TrainingSet
from training.metrics import (
    INTERVAL_PERCENTILES,
    METRICS,
    Estimate,
    bootstrap_weights,
    decile_means,
    decile_table,
    estimate_all,
    paired_difference,
)
from training.tasks import Task

MODEL = "model"
DRAWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The model held against one baseline: how much better it is by the gate's metric, and whether that passes."""

    baseline: str
    advantage: Estimate
    must_win: bool

    @property
    def holds(self) -> bool:
        """Return whether the model wins beyond noise (single-feature baselines) or is not worse beyond noise."""
        return self.advantage.low > 0 if self.must_win else self.advantage.high >= 0

    def __str__(self) -> str:
        needed = "better beyond noise" if self.must_win else "not worse beyond noise"
        verdict = "holds" if self.holds else "fails"
        a = self.advantage
        return f"{needed} than {self.baseline}: {verdict} ({a.value:+.4g}, 95 % {a.low:+.4g} to {a.high:+.4g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything measured on the test cutoff.

    `estimates` is by predictor (the model and every baseline) and metric; `deciles` has one row per decile.
    """

    actual: NDArray[np.float64]
    predictions: Mapping[str, NDArray[np.float64]]
    estimates: Mapping[str, Mapping[str, Estimate]]
    deciles: pd.DataFrame
    comparisons: tuple[Comparison, ...]
    gate_metric: str

    @property
    def is_champion(self) -> bool:
        """Return whether the model beats the one-feature baselines beyond noise and is not worse than any other."""
        return all(comparison.holds for comparison in self.comparisons)

    @property
    def verdict(self) -> tuple[str, ...]:
        """Return the verdict, then its grounds, as sentences."""
        head = "champion" if self.is_champion else "refused as champion"
        return (f"{head}, judged by {self.gate_metric}", *[str(comparison) for comparison in self.comparisons])


def evaluate(task: Task, model: TaskModel, train: TrainingSet, test: TrainingSet, *, seed: int) -> Evaluation:
    """Measure a model and its baselines, fitted on the same training rows, on the test rows (one per customer).

    Raises
    ------
    GateFailed
        The test rows have one class only.
    """
    actual = test.label
    if task.kind == "probability" and len(np.unique(actual)) < 2:  # noqa: PLR2004
        found = f"only label {actual[0]:g}" if len(actual) else "no rows"
        raise GateFailed(f"classes at the test cutoff of {task.name}", needed="2", found=found)
    baselines = baselines_for(task.kind, horizon_days=model.horizon_days, columns=test.features)
    predictions = {MODEL: model.score(test.matrix)} | {b.name: _baseline_scores(b, train, test) for b in baselines}
    return Evaluation(
        actual=actual,
        predictions=predictions,
        estimates=estimate_all(task.kind, actual, predictions, draws=DRAWS, seed=seed),
        deciles=_deciles(task, actual, predictions[MODEL], seed=seed),
        comparisons=tuple(_compare(task, b, actual, predictions, seed=seed) for b in baselines),
        gate_metric=task.gate_metric,
    )


def _baseline_scores(baseline: Baseline, train: TrainingSet, test: TrainingSet) -> NDArray[np.float64]:
    return baseline.fit(train.frame, train.label)(test.frame)


def _deciles(task: Task, actual: NDArray[np.float64], predicted: NDArray[np.float64], *, seed: int) -> pd.DataFrame:
    """Return the decile table with bootstrap intervals of the observed mean, the lift and the cumulative gain."""
    means = decile_means(actual, predicted, bootstrap_weights(len(actual), draws=DRAWS, seed=seed))
    with np.errstate(invalid="ignore", divide="ignore"):
        lift = means / means.mean(axis=1, keepdims=True)
    measured = {"observed": means, "lift": lift, "cumulative_gain_rate": lift.cumsum(axis=1) / means.shape[1]}
    ends = {
        f"{name}_{end}": np.nanpercentile(values, percentile, axis=0)
        for name, values in measured.items()
        for end, percentile in zip(("low", "high"), INTERVAL_PERCENTILES, strict=True)
    }
    return decile_table(task.kind, actual, predicted).assign(**ends)


def _compare(
    task: Task,
    baseline: Baseline,
    actual: NDArray[np.float64],
    predictions: Mapping[str, NDArray[np.float64]],
    *,
    seed: int,
) -> Comparison:
    metric = METRICS[task.kind][task.gate_metric]
    advantage = paired_difference(
        metric, actual, predictions[MODEL], predictions[baseline.name], draws=DRAWS, seed=seed
    )
    return Comparison(baseline=baseline.name, advantage=advantage, must_win=baseline.is_single_feature)
