"""Performance from the log is the metric of the scores and what then happened; too little known is no verdict."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from facts.home import Home
from facts.ingest import ingest
from facts.lake import Lake
from scoring.decision_log import Decision
from scoring.decision_log.in_sqlite import SqliteDecisions
from tests.builders import EPOCH, Line, Order, at, delivery, rows_of
from training.evaluation import DRAWS
from training.metrics import Estimate, estimate_all
from training.monitoring import Thresholds, measure
from training.monitoring.performance import settled_answers
from training.promise import Promise
from training.tasks import TASKS
from training.verdict import MODEL

CUSTOMERS, HORIZON, CUTOFF = 60, 7, at(20, 15.5)


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Sixty customers who came on day 1; of the first forty, the n-th comes again n half-days after the cutoff."""
    lake = Lake(Home(tmp_path_factory.mktemp("shop") / "home").lake)
    orders = [Order(customer=f"c{n}", at=at(1)) for n in range(CUSTOMERS)]
    orders += [
        Order(customer=f"c{n}", at=CUTOFF + timedelta(days=n / 2), lines=(Line(net=f"{n + 1}.25"),)) for n in range(40)
    ]
    made = delivery(rows_of(orders))
    ingest(replace(made, shop=replace(made.shop, observed_from=EPOCH, observed_until=at(60))), lake)
    return lake


def decided(task: str, scores, *, days_later: float = 0) -> list[Decision]:
    return [
        Decision(
            customer_id=f"c{n}",
            task=task,
            score=float(score),
            horizon_days=HORIZON,
            model=f"regulars-{task}/3",
            answered_at=CUTOFF + timedelta(days=days_later),
            features_as_of=at(20),
            request_id="r",
        )
        for n, score in enumerate(scores)
    ]


def promise(metric: str, *, value: float, half: float = 0.02, test_cutoff=CUTOFF) -> Promise:
    promised = Estimate(value=value, low=value - half, high=value + half)
    return Promise(version="3", test_cutoff=test_cutoff, estimates={metric: promised})


CAME = (np.arange(CUSTOMERS) < 2 * HORIZON).astype(float)
SPENT = np.where(CAME, np.arange(CUSTOMERS) + 1.25, 0)
SCORES = np.random.default_rng(1).random(CUSTOMERS)


@pytest.mark.parametrize(("task", "label"), [("repurchase", CAME), ("churn", 1 - CAME), ("clv", SPENT)])
def test_it_is_the_metric_of_scores_and_labels(lake, task, label):
    promised = promise(TASKS[task].gate_metric, value=0.5)
    found = measure(lake, TASKS[task], decided(task, SCORES), promised, thresholds=Thresholds(least_customers=20))
    direct = estimate_all(TASKS[task].kind, label, {MODEL: SCORES}, draws=DRAWS, seed=1)[MODEL]
    assert {name: e.value for name, e in found.estimates.items()} == pytest.approx(
        {name: e.value for name, e in direct.items()}
    )
    assert (found.customers, found.answers) == (CUSTOMERS, CUSTOMERS)


def test_who_is_asked_on_many_days_is_one_customer(lake):
    once = decided("repurchase", SCORES)
    often = [d for day in range(20) for d in decided("repurchase", SCORES, days_later=day / 1000)]
    promised = promise("auc", value=0.5)
    few, many = (
        measure(lake, TASKS["repurchase"], d, promised, thresholds=Thresholds(least_customers=20))
        for d in (once, often)
    )
    assert (many.customers, many.answers) == (CUSTOMERS, 20 * CUSTOMERS)
    width, width_of_few = (found.estimates["auc"].high - found.estimates["auc"].low for found in (many, few))
    assert width == pytest.approx(width_of_few, rel=0.3)  # over rows it would be narrower by the root of twenty


@pytest.mark.parametrize(
    ("scores", "promised", "verdict"),
    [
        (CAME * 0.8 + 0.1 * SCORES, 0.99, "holds"),
        (CAME * 0.8 + 0.1 * SCORES, 0.6, "holds"),  # better than promised is no alarm
        (SCORES, 0.97, "worse than promised"),
    ],
)
def test_worse_is_worse_beyond_both_intervals(lake, scores, promised, verdict):
    found = measure(
        lake,
        TASKS["repurchase"],
        decided("repurchase", scores),
        promise("auc", value=promised),
        thresholds=Thresholds(least_customers=20),
    )
    assert found.verdict == verdict


def test_the_luck_of_a_few_customers_is_no_alarm(lake):
    measured = measure(
        lake,
        TASKS["repurchase"],
        decided("repurchase", SCORES),
        promise("auc", value=0.5),
        thresholds=Thresholds(least_customers=20),
    ).estimates["auc"]
    near = promise("auc", value=(measured.value + measured.high) / 2, half=1e-6)
    found = measure(
        lake, TASKS["repurchase"], decided("repurchase", SCORES), near, thresholds=Thresholds(least_customers=20)
    )
    assert found.verdict == "holds"


def test_what_is_tolerated_is_no_alarm(lake):
    asked, told = decided("repurchase", SCORES), promise("auc", value=0.97)
    strict, lenient = (
        measure(lake, TASKS["repurchase"], asked, told, thresholds=Thresholds(least_customers=20, tolerated_loss=loss))
        for loss in (0.0, 0.9)
    )
    assert (strict.verdict, lenient.verdict) == ("worse than promised", "holds")


def test_probabilities_that_came_out_otherwise_are_told_however_often_they_were_given(lake):
    expected = CAME.mean()
    honest, too_sure = (
        np.full(CUSTOMERS, expected) + 0.01 * SCORES,
        np.full(CUSTOMERS, min(expected + 0.6, 1.0)) - 0.01 * SCORES,
    )
    for scores, is_told in ((honest, False), (too_sure, True)):
        often = [d for day in range(20) for d in decided("repurchase", scores, days_later=day / 1000)]
        found = measure(
            lake, TASKS["repurchase"], often, promise("auc", value=0.5), thresholds=Thresholds(least_customers=20)
        )
        assert [check.holds for check in found.checks] == [not is_told]


@pytest.mark.parametrize(
    ("interval", "mean", "broken"),
    [
        ((0.0, 0.0, 13.25), SPENT.mean(), []),
        ((20.0, 30.0, 40.0), SPENT.mean(), ["80 % interval covers"]),
        ((0.0, 0.0, 13.25), SPENT.mean() / 9, ["sum of its means is 11%"]),
        (None, None, []),  # as logs of the first release are
    ],
)
def test_intervals_and_means_that_came_out_otherwise_are_told(lake, interval, mean, broken):
    told = [replace(d, interval=interval, mean=mean) for d in decided("clv", SCORES)]
    promised = promise("normalised_gini", value=0.5)
    found = measure(lake, TASKS["clv"], told, promised, thresholds=Thresholds(least_customers=20))
    why = [check.said for check in found.checks if not check.holds]
    assert [part in said for part, said in zip(broken, why, strict=True)] == [True] * len(broken)
    assert ("coverage_80" in found.estimates) == (interval is not None)


def test_a_few_answers_with_an_interval_are_too_few_to_judge_it(lake):
    """As after an upgrade: the log of before kept the scores only."""
    first, *others = decided("clv", SCORES)
    told = [replace(first, interval=(20.0, 30.0, 40.0), mean=1e6), *others]
    found = measure(
        lake, TASKS["clv"], told, promise("normalised_gini", value=0.5), thresholds=Thresholds(least_customers=20)
    )
    assert found.checks == ()
    assert "coverage_80" not in found.estimates


def test_of_days_there_is_an_interval_and_no_mean(lake):
    told = [replace(d, interval=(0.0, 3.0, 7.0)) for d in decided("next_order", SCORES)]
    promised = promise(TASKS["next_order"].gate_metric, value=3.0)
    found = measure(lake, TASKS["next_order"], told, promised, thresholds=Thresholds(least_customers=20))
    assert found.estimates["coverage_80"].value == 1.0
    assert "mean_total_ratio" not in found.estimates


def test_answers_before_a_silence_of_the_shop_are_no_measure(tmp_path):
    """Orders every day until day 50, none from there to day 80: nobody could come."""
    lake = Lake(Home(tmp_path / "home").lake)
    made = delivery(rows_of([Order(customer=f"c{n}", at=at(n)) for n in (*range(1, 50), *range(80, 120))]))
    ingest(replace(made, shop=replace(made.shop, observed_from=EPOCH, observed_until=at(120))), lake)
    with closing(SqliteDecisions.open(tmp_path / "decisions.db")) as log:
        days = (10, 48, 60, 110)
        told = [replace(decided("churn", [0.5])[0], answered_at=at(day)) for day in days]
        log.append(told, recorded_at=at(120))
        assert [d.answered_at for d in settled_answers(lake, TASKS["churn"], log)] == [at(10), at(110)]


class TestTooLittle:
    def test_customers(self, lake):
        found = measure(
            lake,
            TASKS["clv"],
            decided("clv", SCORES),
            promise("normalised_gini", value=0.9),
            thresholds=Thresholds(least_customers=61),
        )
        assert (found.verdict, found.found, found.needed, found.counted) == ("not enough yet", 60, 61, "customers")

    def test_one_outcome_only(self, lake):
        came = decided("repurchase", SCORES[:10])
        found = measure(
            lake, TASKS["repurchase"], came, promise("auc", value=0.9), thresholds=Thresholds(least_customers=10)
        )
        assert (found.verdict, found.found, found.needed) == ("not enough yet", 0, 1)
        assert found.counted == "customers of the rarer outcome"

    def test_answers_for_before_the_test_cutoff_were_trained_on(self, lake):
        late = promise("auc", value=0.9, test_cutoff=CUTOFF + timedelta(seconds=1))
        found = measure(
            lake, TASKS["repurchase"], decided("repurchase", SCORES), late, thresholds=Thresholds(least_customers=10)
        )
        assert (found.verdict, found.customers, found.found) == ("not enough yet", 0, 0)
