"""A rolling-origin backtest: what a task's models would have measured, had each been trained at a cutoff of the past.

References
----------
Tashman (2000), "Out-of-sample tests of forecasting accuracy: an analysis and review".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facts.errors import GateFailed
from facts.home import Home
from facts.lake import Lake
from features.snapshots import snapshot_cutoffs
from scoring.parts import Figures
from training.baselines import baselines_for
from training.checks import measure_beside
from training.dataset import TrainingSet, build_training_set
from training.enough import usable_splits
from training.evaluation import DRAWS, predict_all
from training.final import learn
from training.known import Known
from training.means import Means
from training.metrics import Estimate, estimate_all, measure_all
from training.plan import Plan, choose_horizons
from training.sample import sample_notes, share_for
from training.silences import find_silences
from training.splits import Splits, split
from training.tasks import TASKS
from training.trials import Budget
from training.verdict import MODEL

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtCutoff:
    """One model of the past: the plan that it was trained by, and what it and the baselines said at its test cutoff.

    `customers`, `actual` and each of `predictions` have one value a row, as have the `figures` of the model;
    `estimates` is by predictor and metric. `interval` measures the quantiles that the model gives, and of amounts the
    mean that they make; of probabilities it is empty.
    """

    plan: Plan
    params: Mapping[str, Any]
    searched: str
    train_rows: int
    customers: NDArray[np.object_]
    actual: NDArray[np.float64]
    predictions: Mapping[str, NDArray[np.float64]]
    estimates: Mapping[str, Mapping[str, Estimate]]
    figures: Figures
    interval: Mapping[str, Estimate]

    @property
    def cutoff(self) -> datetime:
        """Return the test cutoff."""
        return self.plan.splits.test

    def measured(self, predictor: str) -> dict[str, Estimate]:
        """Return all that was measured of a predictor, by metric: of the model its `interval`, too."""
        return {**self.estimates[predictor], **(self.interval if predictor == MODEL else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Models at several cutoffs of the past, in time order; all their rows measured together, and what was left out.

    `pooled` draws whole customers, with all their cutoffs; `advantages` says by how much the model beats each baseline
    by the gate's metric; `interval` is as at each cutoff, and drawn as `pooled`.
    """

    measured: tuple[AtCutoff, ...]
    pooled: Mapping[str, Mapping[str, Estimate]]
    advantages: Mapping[str, Estimate]
    interval: Mapping[str, Estimate]
    skipped: tuple[str, ...]

    @property
    def plan(self) -> Plan:
        """Return the plan of the latest cutoff: task, horizon and budget are the same at all."""
        return self.measured[-1].plan

    def spread(self, predictor: str = MODEL) -> pd.DataFrame:
        """Return how much each metric differs from cutoff to cutoff: a row a metric; mean, std, min, max.

        Of one cutoff the standard deviation is missing.
        """
        rows = [{name: e.value for name, e in at.measured(predictor).items()} for at in self.measured]
        return pd.DataFrame(rows).agg(["mean", "std", "min", "max"]).T

    def table(self) -> pd.DataFrame:
        """Return one row per cutoff, predictor and metric: value, low, high."""
        rows = [
            {"cutoff": at.cutoff, "predictor": predictor, "metric": name}
            | {"value": e.value, "low": e.low, "high": e.high}
            for at in self.measured
            for predictor in at.estimates
            for name, e in at.measured(predictor).items()
        ]
        return pd.DataFrame(rows)


def rolling_splits(
    cutoffs: Sequence[datetime], *, count: int, horizon_days: int, observed_from: datetime, observed_until: datetime
) -> tuple[Splits, ...]:
    """Split the cutoffs as of each of the latest `count` whose label window is whole, in time order.

    Those before which there is too little history are left out.

    Raises
    ------
    GateFailed
        There is none.
    """
    length = timedelta(days=horizon_days)
    whole = [cutoff for cutoff in sorted(cutoffs) if cutoff + length <= observed_until]
    if not whole:
        needed = f"a snapshot at least {horizon_days} days before the end of the record"
        raise GateFailed(f"record to test a look {horizon_days} days ahead on", needed=needed, found="none")
    found = []
    for test in reversed(whole[-count:]):
        try:
            found.append(split(cutoffs, horizon_days=horizon_days, test=test, observed_from=observed_from))
        except GateFailed:
            if not found:
                raise
            break
    return tuple(reversed(found))


def plan_backtest(
    lake: Lake, name: str, *, count: int, horizon_days: int | None = None, budget: Budget, seed: int = 1
) -> tuple[Plan, ...]:
    """Plan the trainings of a backtest of one task, in the order of their test cutoffs.

    The horizon is today's: it is the question that is asked, not something that was learned.

    Raises
    ------
    GateFailed
        The history is too short for a single one.
    """
    shop, silences = lake.shop(), find_silences(lake)
    horizon = choose_horizons(lake, silences, given_days=horizon_days)[name]
    cutoffs = snapshot_cutoffs(lake)
    notes = silences.notes(cutoffs, horizon_days=horizon.days)
    rolled = rolling_splits(
        silences.usable(cutoffs, horizon_days=horizon.days),
        count=count,
        horizon_days=horizon.days,
        observed_from=shop.observed_from,
        observed_until=shop.observed_until,
    )
    share = share_for(lake, until=rolled[-1].test)
    notes = (*notes, *sample_notes(share))
    return tuple(
        Plan(task=TASKS[name], horizon=horizon, splits=splits, budget=budget, seed=seed, share=share, notes=notes)
        for splits in rolled
    )


def backtest_data(known: Known, plans: Sequence[Plan]) -> TrainingSet:
    """Build the rows of all cutoffs that some plans of one task use."""
    cutoffs = sorted({cutoff for plan in plans for cutoff in plan.splits.cutoffs})
    first = plans[0]
    return build_training_set(known, first.task, cutoffs, horizon_days=first.horizon.days, share=first.share)


def run_backtest(
    plans: Sequence[Plan], data: TrainingSet, home: Home, *, means: Means, on_step: Step = lambda _said: None
) -> Backtest:
    """Train and measure every plan on its own.

    Raises
    ------
    GateFailed
        None of them can be.
    """
    measured, failures = [], {}
    for plan in plans:
        day = f"{plan.splits.test:%Y-%m-%d}"
        on_step(f"test cutoff {day}")
        try:
            measured.append(train_at(plan, data, home, means=means))
        except GateFailed as failed:
            failures[day] = failed
    if not measured:
        raise next(reversed(failures.values()))
    pooled, advantages = pool(measured)
    skipped = tuple(f"{day} is left out: {why}" for day, why in failures.items())
    return Backtest(
        measured=tuple(measured),
        pooled=pooled,
        advantages=advantages,
        interval=pool_beside(measured),
        skipped=skipped,
    )


def train_at(plan: Plan, data: TrainingSet, home: Home, *, means: Means, study: str = "") -> AtCutoff:
    """Search, fit and calibrate on what precedes a plan's test cutoff, and measure there; nothing is registered.

    `study` tells searches apart that have the same plan and other rows.

    Raises
    ------
    GateFailed
        There is too little to learn from, or to measure on.
    """
    lake = Lake(home.lake)
    key = plan.key(lake)
    plan = replace(plan, splits=usable_splits(plan.task, data.frame, plan.splits))
    found, model = learn(
        plan,
        data,
        lake.shop(),
        journal=home.search / f"backtest-{plan.task.name}.journal",
        study_name=f"backtest-{plan.task.name}-{key}{study}",
        means=means,
    )
    train, test = data.at(plan.splits.train), data.at([plan.splits.test])
    figures = model.figures(test.matrix)
    baselines = baselines_for(plan.task.kind, horizon_days=model.horizon_days, columns=test.features)
    predictions = predict_all(figures, baselines, train, test)
    return AtCutoff(
        plan=plan,
        params={**found.params, **found.rounds},
        searched=found.ended_by,
        train_rows=len(train.frame),
        customers=test.frame["customer_id"].to_numpy(),
        actual=test.label,
        predictions=predictions,
        estimates=estimate_all(plan.task.kind, test.label, predictions, draws=DRAWS, seed=plan.seed),
        figures=figures,
        interval=measure_beside(test.label, figures, draws=DRAWS, seed=plan.seed),
    )


def pool(measured: Sequence[AtCutoff]) -> tuple[dict[str, dict[str, Estimate]], dict[str, Estimate]]:
    """Measure the rows of several cutoffs together: estimates by predictor and metric, and the model's advantages."""
    task, seed = measured[0].plan.task, measured[0].plan.seed
    actual, clusters = np.concatenate([at.actual for at in measured]), _customers(measured)
    said = {name: np.concatenate([at.predictions[name] for at in measured]) for name in measured[0].predictions}
    pooled = measure_all(task.kind, actual, said, draws=DRAWS, seed=seed, clusters=clusters)
    advantages = {name: pooled.advantage(task.gate_metric, MODEL, name) for name in said if name != MODEL}
    return pooled.estimates(), advantages


def pool_beside(measured: Sequence[AtCutoff]) -> dict[str, Estimate]:
    """Measure the intervals and means of several cutoffs together, drawing whole customers; of probabilities, empty."""
    figures = Figures(
        score=np.concatenate([at.figures.score for at in measured]),
        interval=_together([at.figures.interval for at in measured]),
        mean=_together([at.figures.mean for at in measured]),
    )
    actual = np.concatenate([at.actual for at in measured])
    return measure_beside(actual, figures, draws=DRAWS, seed=measured[0].plan.seed, clusters=_customers(measured))


def _together(parts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Return the rows of all parts, None where a model, and so every one of its task, does not give them."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _customers(measured: Sequence[AtCutoff]) -> list[str]:
    return [str(customer) for at in measured for customer in at.customers]
