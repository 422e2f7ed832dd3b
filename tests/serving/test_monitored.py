"""From answers to what came of them: trained, asked over HTTP, the future ingested, monitored, trained again."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from corner_shop import Serve

from facts.home import Home
from facts.ingest import ingest
from facts.lake import Lake
from scoring.decision_log import open_decision_log
from scoring.registry import champion_version
from tests.builders import EPOCH, Line, Order, at, delivery, rows_of
from tests.processes import regulars
from training import tracking
from training.metrics import estimate_all
from training.verdict import MODEL

DAYS, LATER, CUSTOMERS = 160, 174, 160
CYCLES_DAYS = (3, 7, 14, 28)
COMES = 0.85
TRAIN = ("--trials", "0")


def cycle(number: int) -> int:
    return CYCLES_DAYS[number % 4]


def turned(number: int) -> int:
    return CYCLES_DAYS[3 - number % 4]


def orders(since: int, until: int, *, every=cycle) -> list[Order]:
    """Customers who mostly come when they are due, each at their own pace."""
    chance = random.Random(since)  # noqa: S311 - test data
    return [
        Order(
            id=f"{number}-{day}",
            customer=f"c{number}",
            at=at(day, 10 * chance.random()),
            lines=(Line(net=str(1 + number % 5)),),
        )
        for number in range(CUSTOMERS)
        for day in range(number % every(number), until, every(number))
        if chance.random() < COMES and day >= since
    ]


def bring(home: Home, told: Sequence[Order], *, until: int) -> None:
    made = delivery(rows_of(told))
    shop = replace(made.shop, observed_from=EPOCH, observed_until=at(until), clock="standing")
    ingest(replace(made, shop=shop), Lake(home.lake))


def runs_of(home: Home) -> list:
    with tracking.tracked(home) as client:
        found = client.get_experiment_by_name("regulars-monitor")
        return client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> tuple[Home, pd.DataFrame]:
    """A shop whose champion was asked of everybody at the end of the record, and what it said."""
    home = Home(tmp_path_factory.mktemp("clockwork") / "home")
    bring(home, orders(0, DAYS), until=DAYS)
    for command in (("features", "build"), ("train", "repurchase", "--horizon-days", "7", *TRAIN), ("materialize",)):
        ran = regulars(*command, home=home)
        assert ran.code == 0, ran.err
    with serve(home) as client:
        body = {"customer_ids": [f"c{number}" for number in range(CUSTOMERS)]}
        told = client.post("/v1/score", json=body).json()["results"]
    assert {result["status"] for result in told} == {"ok"}
    said = [(result["customer_id"], result["repurchase"]["probability"]) for result in told]
    return home, pd.DataFrame(said, columns=["customer_id", "score"])


@pytest.fixture
def home(asked: tuple[Home, pd.DataFrame], tmp_path: Path) -> Home:
    return Home(shutil.copytree(asked[0].folder, tmp_path / "home"))


def test_before_the_horizon_has_passed_it_is_not_enough_yet_and_no_alarm(home: Home) -> None:
    ran = regulars("monitor", "--drifted-share", "1", "--score-psi", "9", home=home)
    assert ran.code == 0, ran.err + ran.out
    assert "performance: not enough yet: 0 of 100 customers whose 7 days have passed" in ran.out
    run = runs_of(home)[0]
    assert run.data.tags["alarm"] == "false"
    assert run.data.metrics["logged_answers"] == CUSTOMERS
    assert "auc" not in run.data.metrics


def test_after_it_what_was_answered_is_held_against_what_happened(asked: tuple[Home, pd.DataFrame], home: Home) -> None:
    later = orders(DAYS, LATER)
    bring(home, later, until=LATER)
    assert regulars("features", "build", home=home).code == 0
    ran = regulars("monitor", "repurchase", "--drifted-share", "1", "--score-psi", "9", home=home)
    assert ran.code == 0, ran.err + ran.out
    came = {order.customer for order in later if at(DAYS) <= order.at < at(DAYS + 7)}
    said = asked[1]
    direct = estimate_all("probability", said["customer_id"].isin(came), {MODEL: said["score"]}, draws=0, seed=1)
    run = runs_of(home)[0]
    for name, estimate in direct[MODEL].items():
        assert run.data.metrics[name] == pytest.approx(estimate.value, abs=1e-12), name
    assert run.data.metrics["settled_customers"] == CUSTOMERS
    assert run.data.tags["model_version"] == champion_version(home, "repurchase")
    with tracking.tracked(home) as client:
        kept = {item.path for folder in (None, "plots") for item in client.list_artifacts(run.info.run_id, folder)}
    assert {"drift.csv", "performance.csv", "plots/drift.png", "plots/scores.png"} <= kept
    assert "performance: holds: auc" in ran.out


def test_customers_who_turn_about_are_an_alarm_with_its_own_exit_code(home: Home) -> None:
    bring(home, orders(DAYS, LATER, every=turned), until=LATER)
    assert regulars("features", "build", home=home).code == 0
    ran = regulars("monitor", "--drifted-share", "1", "--score-psi", "9", home=home)
    assert ran.code == 3, ran.err + ran.out
    assert "alarm: the champion's auc is worse than promised" in ran.out
    assert runs_of(home)[0].data.tags["alarm"] == "true"


def test_drift_is_an_alarm(home: Home) -> None:
    ran = regulars("monitor", "--drifted-share", "0", "--feature-psi", "0", "--score-psi", "9", home=home)
    assert ran.code == 3, ran.err + ran.out
    assert "of the model's gain have drifted" in ran.out


def test_a_task_without_a_champion_is_an_error_and_no_alarm(home: Home) -> None:
    ran = regulars("monitor", "churn", home=home)
    assert ran.code == 2
    assert "no champion of churn yet" in ran.err


def test_nothing_is_kept_of_who_was_not_asked(home: Home) -> None:
    log = open_decision_log(home)
    assert (log.count("repurchase"), log.count("churn"), log.count("clv")) == (CUSTOMERS, 0, 0)
    log.close()
    np.testing.assert_array_equal(sorted(asked_ids(home)), sorted(f"c{number}" for number in range(CUSTOMERS)))


def asked_ids(home: Home) -> list[str]:
    log = open_decision_log(home)
    kept = log.first_of_each_day("repurchase", settled_by=at(1000))
    log.close()
    return [decision.customer_id for decision in kept]


class TestRetrain:
    @pytest.fixture(scope="class")
    def again(self, tmp_path_factory: pytest.TempPathFactory) -> Home:
        """A home of its own: MLflow's addresses do not move with a copy."""
        home = Home(tmp_path_factory.mktemp("again") / "home")
        bring(home, orders(0, DAYS), until=DAYS)
        return home

    def test_the_whole_round_then_the_same_stands_then_new_facts_are_trained_on(self, again: Home) -> None:
        first = regulars("retrain", "repurchase", *TRAIN, home=again)
        assert first.code == 0, first.err + first.out
        assert "regulars-repurchase/1 │ champion" in first.out
        same = regulars("retrain", "repurchase", *TRAIN, home=again)
        assert same.code == 0, same.err
        assert "same data, settings and seed: version 1 stands" in same.out
        bring(again, orders(DAYS, LATER), until=LATER)
        anew = regulars("retrain", "repurchase", *TRAIN, home=again)
        assert anew.code == 0, anew.err + anew.out
        assert "regulars-repurchase/2 │ " in anew.out
        if "challenger" in anew.out:
            assert "version 1 stays champion" in anew.out
            assert champion_version(again, "repurchase") == "1"
