"""Would more data help? The same training on fewer customers, and on fewer cutoffs, measured on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from facts.errors import GateFailed
from facts.home import Home
from training.backtest import AtCutoff, pool, train_at
from training.dataset import TrainingSet
from training.evaluation import DRAWS
from training.means import Means
from training.metrics import METRICS, Estimate, paired_difference
from training.plan import Plan
from training.splits import Fold, Splits
from training.verdict import MODEL

SHARES = (1 / 8, 1 / 4, 1 / 2)
LAST_CUTOFFS = (1, 2, 4, 8)
Of = Literal["customers", "cutoffs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was measured with some of the customers, or some of the cutoffs, over all test cutoffs together.

    `size` is how many customers, or cutoffs, were trained on at most; `gain` by how much the gate's metric is better
    than at the point before, None at the first.
    """

    of: Of
    said: str
    size: int
    train_rows: int
    estimate: Estimate
    gain: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """The points by customers and by cutoffs, each in growing order; `skipped` says which could not be trained."""

    metric: str
    points: tuple[Point, ...]
    skipped: tuple[str, ...]

    def of(self, what: Of) -> tuple[Point, ...]:
        """Return the points of one kind."""
        return tuple(point for point in self.points if point.of == what)

    @property
    def answers(self) -> tuple[str, ...]:
        """Say, of customers and of cutoffs, whether more of them would help, by the last step."""
        return tuple(
            _answer(self.metric, what, points) for what in ("customers", "cutoffs") if (points := self.of(what))
        )


def learning_curve(
    plans: Sequence[Plan],
    data: TrainingSet,
    whole: Sequence[AtCutoff],
    home: Home,
    *,
    means: Means,
    on_step: Callable[[str], None] = lambda _said: None,
) -> LearningCurve:
    """Train every plan on 1/8, 1/4 and 1/2 of the customers and on the last 1, 2, 4 and 8 cutoffs, beside all.

    Parameters
    ----------
    plans, data
        Of a backtest.
    whole
        What that backtest measured: the last point of both curves, and the cutoffs that all points are measured at.
    """
    measured_at = {at.cutoff for at in whole}
    kept = [plan for plan in plans if plan.splits.test in measured_at]
    points: list[Point] = []
    skipped: list[str] = []
    before: dict[Of, Sequence[AtCutoff]] = {}
    for size in (*_customer_sizes(data, home, means, seed=plans[0].seed), *_cutoff_sizes(kept, data, home, means)):
        on_step(f"{size.of}, {size.said}")
        try:
            trained = whole if size.train is None else [size.train(plan) for plan in kept]
        except GateFailed as failed:
            skipped.append(f"{size.of}, {size.said}: {failed}")
            continue
        points.append(_point(size, trained, before.get(size.of)))
        before[size.of] = trained
    return LearningCurve(metric=plans[0].task.gate_metric, points=tuple(points), skipped=tuple(skipped))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """So many customers or cutoffs, and how a plan is trained on them; None where they are all, which was done."""

    of: Of
    said: str
    count: int
    train: Callable[[Plan], AtCutoff] | None


def _customer_sizes(data: TrainingSet, home: Home, means: Means, *, seed: int) -> list[_Size]:
    order = customer_order(data, seed=seed)

    def size(share: float) -> _Size:
        chosen, said = frozenset(order[: max(1, round(share * len(order)))]), f"1/{round(1 / share)}"

        def train(plan: Plan) -> AtCutoff:
            return train_at(plan, of_customers(data, plan, chosen), home, means=means, study=f"-{said} customers")

        return _Size(of="customers", said=said, count=len(chosen), train=train)

    return [*map(size, SHARES), _Size(of="customers", said="all", count=len(order), train=None)]


def _cutoff_sizes(plans: Sequence[Plan], data: TrainingSet, home: Home, means: Means) -> list[_Size]:
    def size(count: int) -> _Size:
        def train(plan: Plan) -> AtCutoff:
            shorter = replace(plan, splits=last_cutoffs(plan.splits, count))
            return train_at(shorter, data, home, means=means, study=f"-last {count} cutoffs")

        return _Size(of="cutoffs", said=f"the last {count}", count=count, train=train)

    most = max(len(plan.splits.train) for plan in plans)
    fewer = [size(count) for count in LAST_CUTOFFS if count < most]
    return [*fewer, _Size(of="cutoffs", said="all", count=most, train=None)]


def customer_order(data: TrainingSet, *, seed: int) -> list[str]:
    """Return the customers shuffled: the first eighth is part of the first quarter, and so on."""
    names = np.sort(data.frame["customer_id"].astype(str).unique())
    return [str(name) for name in np.random.default_rng(seed).permutation(names)]


def of_customers(data: TrainingSet, plan: Plan, chosen: frozenset[str]) -> TrainingSet:
    """Return some customers' rows, and all rows of the plan's test cutoff: what is measured stays the same."""
    frame = data.frame
    kept = frame["customer_id"].isin(chosen) | (frame["cutoff"] == pd.Timestamp(plan.splits.test))
    return TrainingSet(frame[kept], data.features)


def last_cutoffs(splits: Splits, count: int) -> Splits:
    """Return splits that train on the last cutoffs only, and validate, calibrate and test where they did."""

    def shortened(folds: Sequence[Fold]) -> tuple[Fold, ...]:
        return tuple(Fold(train=fold.train[-count:], validation=fold.validation) for fold in folds)

    return replace(
        splits,
        folds=shortened(splits.folds),
        calibration=shortened(splits.calibration),
        train=splits.train[-count:],
    )


def _point(size: _Size, trained: Sequence[AtCutoff], before: Sequence[AtCutoff] | None) -> Point:
    pooled, _ = pool(trained)
    return Point(
        of=size.of,
        said=size.said,
        size=size.count,
        train_rows=sum(at.train_rows for at in trained),
        estimate=pooled[MODEL][trained[0].plan.task.gate_metric],
        gain=_gain(trained, before) if before else None,
    )


def _gain(trained: Sequence[AtCutoff], before: Sequence[AtCutoff]) -> Estimate:
    task = trained[0].plan.task
    now, then = (np.concatenate([at.predictions[MODEL] for at in some]) for some in (trained, before))
    return paired_difference(
        METRICS[task.kind][task.gate_metric],
        np.concatenate([at.actual for at in trained]),
        now,
        then,
        draws=DRAWS,
        seed=trained[0].plan.seed,
        clusters=np.concatenate([at.customers for at in trained]).astype(str).tolist(),
    )


def _answer(metric: str, what: Of, points: Sequence[Point]) -> str:
    last = points[-1]
    if last.gain is None:
        return f"more {what}: not known, as there is one point only"
    step = f"from {points[-2].said} to all {what}, {metric} changed by {last.gain:+.4g}, where more is better"
    if last.gain.low > 0:
        return f"more {what} would probably help: {step}"
    if last.gain.high < 0:
        return f"more {what} would not help: {step}"
    return f"no gain from more {what} is seen beyond noise: {step}"
