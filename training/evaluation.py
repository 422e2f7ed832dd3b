"""The test cutoff, touched once: the model beside everything it has to beat, and whether it may be champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facts.errors import GateFailed
from scoring.model import TaskModel
from scoring.parts import Figures
from training.baselines import Baseline, baselines_for
from training.checks import check_all, measure_beside
from training.dataset import TrainingSet
from training.groups import measure_groups
from training.largest import Largest, largest_of
from training.metrics import (
    INTERVAL_PERCENTILES,
    Estimate,
    bootstrap_weights,
    calibration_by_chance,
    decile_means,
    decile_table,
    measure_all,
)
from training.potential import Growth, measure_growth
from training.tasks import Task
from training.verdict import CHAMPION, MODEL, Comparison, Evaluation

DRAWS = 1000
MARGIN = 0.02  # of the other's value: by so much a model may seem worse where noise does not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Reigning:
    """The champion, and the first cutoff of whose outcomes it learned nothing: the one that it was tested on."""

    model: TaskModel
    tested_on: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opponent:
    """What a model is held against, by the name of its predictions."""

    name: str
    must_win: bool  # the model, against it
    label: str = ""


def evaluate(
    task: Task,
    model: TaskModel,
    train: TrainingSet,
    test: TrainingSet,
    *,
    reigning: Reigning | None = None,
    seed: int,
) -> Evaluation:
    """Measure a model and its baselines, fitted on the same training rows, on the test rows (one per customer).

    The reigning champion is measured on the same rows. One that cannot be (it looks otherwise far ahead, has learned
    from what became of these customers, or asks for features that the shop no longer has) is not replaced by the gate,
    only by hand.

    Raises
    ------
    GateFailed
        The test rows have one class only.
    """
    actual = test.label
    if task.kind == "probability" and len(np.unique(actual)) < 2:  # noqa: PLR2004
        found = f"only label {actual[0]:g}" if len(actual) else "no rows"
        raise GateFailed(f"classes at the test cutoff of {task.name}", needed="2", found=found)
    figures = model.figures(test.matrix)
    baselines = baselines_for(task.kind, horizon_days=model.horizon_days, columns=test.features)
    predictions = predict_all(figures, baselines, train, test)
    opponents = [Opponent(name=baseline.name, must_win=baseline.is_single_feature) for baseline in baselines]
    unmeasured = reigning and _unmeasured(reigning, model, test)
    if reigning and not unmeasured:
        own = test.frame[list(reigning.model.features)].to_numpy(dtype=np.float32)
        predictions[CHAMPION] = reigning.model.score(own)
        opponents.append(Opponent(name=CHAMPION, must_win=True, label=reigning.model.label))
    estimates, comparisons = measure_beside_others(task, actual, predictions, opponents, seed=seed)
    interval = measure_beside(actual, figures, draws=DRAWS, seed=seed)
    groups = measure_groups(task.kind, test.frame, actual, predictions[MODEL], figures.interval, draws=DRAWS, seed=seed)
    by_chance = calibration_by_chance(predictions[MODEL], seed=seed) if task.kind == "probability" else None
    return Evaluation(
        actual=actual,
        predictions=predictions,
        estimates=estimates,
        quantiles=figures.interval,
        interval=interval,
        groups=tuple(groups),
        calibration_error_by_chance=by_chance,
        growth=_growth(model, figures, actual, seed=seed),
        deciles=_deciles(task, actual, predictions[MODEL], seed=seed),
        comparisons=comparisons,
        largest=_largest(task, actual, predictions, opponents, comparisons, estimates[MODEL], seed=seed),
        gate_metric=task.gate_metric,
        checks=check_all({**estimates[MODEL], **interval}, calibration_by_chance=by_chance),
        obstacles=(unmeasured,) if unmeasured else (),
    )


def predict_all(
    figures: Figures, baselines: Sequence[Baseline], train: TrainingSet, test: TrainingSet
) -> dict[str, NDArray[np.float64]]:
    """Return what the model said, and what every baseline fitted on the training rows says, of the test rows."""
    return {MODEL: figures.score} | {b.name: b.fit(train.frame, train.label)(test.frame) for b in baselines}


def _unmeasured(reigning: Reigning, model: TaskModel, test: TrainingSet) -> str | None:
    """Return why the reigning champion cannot be measured beside a model, None where it can."""
    theirs, tested_on = reigning.model, reigning.tested_on
    gone = sorted(set(theirs.features) - set(test.features))
    if theirs.horizon_days != model.horizon_days:
        why = f"it looks {theirs.horizon_days} days ahead, this one {model.horizon_days}"
    elif test.frame["cutoff"].min() < tested_on:
        why = f"it has learned from what happened until {tested_on:%Y-%m-%d}, some of which this test asks for"
    elif gone:
        why = f"it asks for {gone[0]!r}, which the shop has no longer"
    else:
        return None
    return f"the champion {theirs.label} cannot be measured beside it: {why}; `regulars promote` decides"


def _growth(model: TaskModel, figures: Figures, actual: NDArray[np.float64], *, seed: int) -> Growth | None:
    if model.potential is None or figures.spend_so_far is None:
        return None
    return measure_growth(model.potential, figures.spend_so_far, actual, figures.score, draws=DRAWS, seed=seed)


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


def _largest(
    task: Task,
    actual: NDArray[np.float64],
    predictions: Mapping[str, NDArray[np.float64]],
    opponents: Sequence[Opponent],
    comparisons: Sequence[Comparison],
    estimates: Mapping[str, Estimate],
    *,
    seed: int,
) -> Largest | None:
    """Measure amounts again without the customer who spent most, where that is much of all spend."""
    found = largest_of(actual) if task.kind == "amount" else None
    if found is None:
        return None
    row, share = found
    fewer = {name: np.delete(predicted, row) for name, predicted in predictions.items()}
    without, again = measure_beside_others(task, np.delete(actual, row), fewer, opponents, seed=seed)
    return Largest(
        share=share,
        estimates=estimates,
        without=without[MODEL],
        holds=all(comparison.holds for comparison in comparisons),
        holds_without=all(comparison.holds for comparison in again),
    )


def measure_beside_others(
    task: Task,
    actual: NDArray[np.float64],
    predictions: Mapping[str, NDArray[np.float64]],
    opponents: Sequence[Opponent],
    *,
    seed: int,
) -> tuple[dict[str, dict[str, Estimate]], tuple[Comparison, ...]]:
    """Return the estimates by predictor and metric, and the model held against each opponent, on the same resamples."""
    measured = measure_all(task.kind, actual, predictions, draws=DRAWS, seed=seed)
    estimates = measured.estimates()
    return estimates, tuple(
        Comparison(
            baseline=opponent.name,
            label=opponent.label,
            advantage=measured.advantage(task.gate_metric, MODEL, opponent.name),
            must_win=opponent.must_win,
            margin=MARGIN * abs(estimates[opponent.name][task.gate_metric].value),
        )
        for opponent in opponents
    )
