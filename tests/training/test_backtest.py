"""A backtest: every cutoff learns from its own past only, and all together are measured as one table."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facts.errors import GateFailed
from scoring.parts import SWANSON, Figures
from tests.builders import EPOCH, at
from training.backtest import AtCutoff, Backtest, pool, pool_beside, rolling_splits
from training.checks import MEAN_TOTAL, measure_beside
from training.dataset import TrainingSet
from training.evaluation import DRAWS
from training.learning_curve import SHARES, LearningCurve, Point, customer_order, last_cutoffs, of_customers
from training.metrics import COVERAGE, INTERVAL_METRICS, METRICS, WIDTH, Estimate, estimate_all
from training.plan import Plan
from training.splits import split
from training.tasks import TASKS, Horizon
from training.trials import Budget
from training.verdict import MODEL

WEEKLY = [at(7 * week) for week in range(4, 40)]
SPLITS = split(WEEKLY, horizon_days=14, test=WEEKLY[-1], observed_from=EPOCH)
PLAN = Plan(
    task=TASKS["repurchase"], horizon=Horizon(days=14, reason=""), splits=SPLITS, budget=Budget(trials=0), seed=1
)


@given(
    horizon=st.integers(1, 90),
    step=st.integers(1, 21),
    cutoff_count=st.integers(3, 40),
    count=st.integers(1, 8),
    tail=st.integers(0, 60),
)
def test_every_cutoff_learns_from_its_own_past_only(horizon, step, cutoff_count, count, tail):
    cutoffs, length = [at(1 + step * i) for i in range(cutoff_count)], timedelta(days=horizon)
    until = cutoffs[-1] + timedelta(days=tail)
    try:
        rolled = rolling_splits(cutoffs, count=count, horizon_days=horizon, observed_from=EPOCH, observed_until=until)
    except GateFailed:
        assume(False)  # noqa: FBT003
    tests = [splits.test for splits in rolled]
    whole = [cutoff for cutoff in cutoffs if cutoff + length <= until]
    assert tests == whole[-len(tests) :]
    assert 1 <= len(tests) <= count
    for splits in rolled:
        assert all(cutoff + length <= splits.test for cutoff in splits.cutoffs if cutoff != splits.test)
        for fold in splits.calibration:
            assert all(cutoff + length <= fold.validation for cutoff in fold.train)


def test_no_history_before_any_cutoff_names_the_gate():
    with pytest.raises(GateFailed, match="history before the test"):
        rolling_splits(WEEKLY[:3], count=2, horizon_days=14, observed_from=EPOCH, observed_until=at(400))
    with pytest.raises(GateFailed, match="record to test a look 90 days ahead on"):
        rolling_splits(WEEKLY, count=2, horizon_days=90, observed_from=EPOCH, observed_until=at(90))


def _measured(cutoff, *, seed, rows=60):
    chance = np.random.default_rng(seed)
    actual = (chance.random(rows) < 0.4).astype(float)
    good, poor = (np.clip(0.4 + w * (actual - 0.4) + chance.normal(0, 0.2, rows), 0.01, 0.99) for w in (0.3, 0.05))
    predictions = {MODEL: good, "recency_alone": poor}
    return AtCutoff(
        plan=replace(PLAN, splits=replace(SPLITS, test=cutoff)),
        params={},
        searched="",
        train_rows=100,
        customers=np.array([f"c{i}" for i in chance.permutation(80)[:rows]], dtype=object),
        actual=actual,
        predictions=predictions,
        estimates=estimate_all("probability", actual, predictions, draws=20, seed=1),
        figures=Figures(score=good),
        interval={},
    )


def _amounts(measured, *, seed):
    """The same customers, spending what a model with true quantiles knows no more of than how much it spreads."""
    chance = np.random.default_rng(seed)
    scale = chance.uniform(1, 9, len(measured.actual))
    quantiles = scale[:, None] * -np.log([0.9, 0.5, 0.1])
    actual, figures = chance.exponential(scale), Figures(score=scale, interval=quantiles, mean=quantiles @ SWANSON)
    return replace(
        measured,
        plan=replace(measured.plan, task=TASKS["clv"]),
        actual=actual,
        predictions={MODEL: scale, "recency_alone": scale[::-1]},
        estimates=estimate_all("amount", actual, {MODEL: scale, "recency_alone": scale[::-1]}, draws=20, seed=1),
        figures=figures,
        interval=measure_beside(actual, figures, draws=DRAWS, seed=1),
    )


MEASURED = [_measured(cutoff, seed=seed) for seed, cutoff in enumerate(WEEKLY[-3:])]
AMOUNTS = [_amounts(measured, seed=seed) for seed, measured in enumerate(MEASURED)]


def _backtest(measured):
    pooled, advantages = pool(measured)
    interval = pool_beside(measured)
    return Backtest(measured=tuple(measured), pooled=pooled, advantages=advantages, interval=interval, skipped=())


def test_the_pooled_estimate_is_the_metric_of_all_rows_together():
    pooled, advantages = pool(MEASURED)
    actual = np.concatenate([done.actual for done in MEASURED])
    for name in (MODEL, "recency_alone"):
        said = np.concatenate([done.predictions[name] for done in MEASURED])
        for metric in METRICS["probability"].values():
            whole = metric.compute(actual, said, np.ones((1, len(actual))))[0]
            assert pooled[name][metric.name].value == pytest.approx(whole)
    gain = pooled[MODEL]["auc"].value - pooled["recency_alone"]["auc"].value
    assert advantages["recency_alone"].value == pytest.approx(gain)
    assert advantages["recency_alone"].low > 0


def test_a_customer_at_every_cutoff_is_drawn_with_all_of_them():
    """The same rows three times over say no more than once."""
    once, thrice = [MEASURED[0]], [MEASURED[0]] * 3
    (alone, _), (again, _) = pool(once), pool(thrice)
    for name, estimate in alone[MODEL].items():
        assert again[MODEL][name].value == pytest.approx(estimate.value, abs=0.03)  # decile metrics cut ties apart
    width = {len(done): pool(done)[0][MODEL]["brier"] for done in (once, thrice)}
    assert width[3].high - width[3].low == pytest.approx(width[1].high - width[1].low, rel=0.15)
    rows = np.concatenate([MEASURED[0].actual] * 3)
    said = np.concatenate([MEASURED[0].predictions[MODEL]] * 3)
    independent = estimate_all("probability", rows, {MODEL: said}, draws=DRAWS, seed=1)[MODEL]["brier"]
    assert independent.high - independent.low < 0.8 * (width[3].high - width[3].low)


def test_the_spread_is_over_cutoffs():
    done = _backtest(MEASURED)
    values = [at.estimates[MODEL]["auc"].value for at in MEASURED]
    row = done.spread().loc["auc"]
    expected = [np.mean(values), np.std(values, ddof=1), min(values), max(values)]
    assert row.tolist() == pytest.approx(expected)
    assert len(done.table()) == len(MEASURED) * 2 * len(METRICS["probability"])


class TestIntervals:
    def test_together_they_are_measured_on_all_rows(self):
        together = pool_beside(AMOUNTS)
        assert list(together) == [*INTERVAL_METRICS, MEAN_TOTAL, "mean_rmse"]
        for name in INTERVAL_METRICS:  # cutoffs of as many rows: the mean of means
            assert together[name].value == pytest.approx(np.mean([at.interval[name].value for at in AMOUNTS]))
        spent = np.concatenate([at.actual for at in AMOUNTS]).sum()
        said = np.concatenate([at.figures.mean for at in AMOUNTS]).sum()
        assert together[MEAN_TOTAL].value == pytest.approx(said / spent)

    def test_a_customer_is_drawn_with_all_cutoffs(self):
        once, thrice = pool_beside(AMOUNTS[:1]), pool_beside(AMOUNTS[:1] * 3)
        for name in (COVERAGE, WIDTH, MEAN_TOTAL):
            told, again = once[name], thrice[name]
            assert (again.value, again.low, again.high) == pytest.approx((told.value, told.low, told.high), rel=0.05)

    def test_days_have_no_mean_and_probabilities_nothing(self):
        days = [replace(at, figures=replace(at.figures, mean=None)) for at in AMOUNTS]
        assert list(pool_beside(days)) == list(INTERVAL_METRICS)
        assert pool_beside(MEASURED) == {}

    def test_the_table_and_the_spread_have_them_of_the_model_only(self):
        done = _backtest(AMOUNTS)
        table = done.table()
        covered = table[table["metric"] == COVERAGE]
        assert covered["predictor"].tolist() == [MODEL] * len(AMOUNTS)
        assert covered["value"].tolist() == [at.interval[COVERAGE].value for at in AMOUNTS]
        assert done.spread().loc[COVERAGE, "mean"] == pytest.approx(covered["value"].mean())
        assert COVERAGE not in done.spread("recency_alone").index


class TestFewerRows:
    @pytest.fixture(scope="class")
    def data(self):
        rows = [(f"c{i}", cutoff, float(i % 2)) for cutoff in SPLITS.cutoffs for i in range(40)]
        frame = pd.DataFrame(rows, columns=["customer_id", "cutoff", "label"]).astype({"cutoff": "datetime64[us, UTC]"})
        return TrainingSet(frame, ())

    def test_a_smaller_share_is_part_of_a_larger_one(self, data):
        order = customer_order(data, seed=3)
        assert sorted(order) == sorted(data.frame["customer_id"].unique())
        assert order == customer_order(data, seed=3) != customer_order(data, seed=4)
        assert order != sorted(order)
        assert list(SHARES) == sorted(SHARES)

    def test_what_is_measured_stays_the_same(self, data):
        chosen = frozenset(customer_order(data, seed=3)[:5])
        some = of_customers(data, PLAN, chosen)
        pd.testing.assert_frame_equal(some.at([SPLITS.test]).frame, data.at([SPLITS.test]).frame)
        assert set(some.at(SPLITS.train).frame["customer_id"]) == chosen

    @pytest.mark.parametrize("count", [1, 2, 5, 100])
    def test_the_last_cutoffs_are_the_latest(self, count):
        fewer = last_cutoffs(SPLITS, count)
        assert fewer.train == SPLITS.train[-count:]
        assert fewer.test == SPLITS.test
        for short, fold in zip(fewer.calibration, SPLITS.calibration, strict=True):
            assert short.validation == fold.validation
            assert short.train == fold.train[-count:]
        if count >= len(SPLITS.train):
            assert fewer == SPLITS


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.03, "more customers would probably help: from 1/2 to all"),
        (-0.01, 0.03, "no gain from more customers is seen beyond noise"),
        (-0.03, -0.01, "more customers would not help"),
    ],
)
def test_the_curve_answers_by_its_last_step(low, high, said):
    gain = Estimate(value=(low + high) / 2, low=low, high=high)
    points = tuple(
        Point(of="customers", said=name, size=size, train_rows=size, estimate=gain, gain=step)
        for name, size, step in (("1/2", 50, None), ("all", 100, gain))
    )
    (answer,) = LearningCurve(metric="auc", points=points, skipped=()).answers
    assert said in answer
    (unknown,) = LearningCurve(metric="auc", points=points[:1], skipped=()).answers
    assert "not known" in unknown
