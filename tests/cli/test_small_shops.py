"""Shops with too little: the gate that failed, with needed and found, exit code 2, and nothing half-written."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from facts.errors import GateFailed
from facts.home import Home
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import EPOCH, Line, Order, at, delivery, rows_of


def _every(days: int, customers: int, *, until: int) -> list[Order]:
    return [
        Order(customer=f"c{number}", at=at(day, 10 + number % 8), lines=(Line(),))
        for number in range(customers)
        for day in range(number % days, until, days)
    ]


def _shop(home: Home, orders: list[Order], *, days: int) -> None:
    made = delivery(rows_of(orders))
    shop = replace(made.shop, observed_from=EPOCH, observed_until=at(days), clock="standing")
    ingest(replace(made, shop=shop), Lake(home.lake))


def test_a_shop_without_orders_is_refused_and_nothing_is_written(empty_home):
    with pytest.raises(GateFailed, match="valid orders: needed at least 1, found 0"):
        _shop(empty_home, [], days=100)
    assert not (empty_home.lake / "manifest.json").exists()


def test_days_are_the_shops_own(run_regulars, empty_home):
    made = delivery(rows_of(_every(3, 30, until=60)))
    midnight = at(60) - timedelta(hours=1)
    shop = replace(
        made.shop, timezone="Europe/Berlin", observed_from=EPOCH - timedelta(hours=1), observed_until=midnight
    )
    ingest(replace(made, shop=shop), Lake(empty_home.lake))
    said = run_regulars("status", home=empty_home).out
    assert f"{EPOCH:%Y-%m-%d} to {at(60):%Y-%m-%d}" in said


@pytest.mark.parametrize(
    ("orders", "days", "step", "said"),
    [
        (_every(3, 30, until=20), 20, "features", "days of history: needed 28, found 20"),
        (_every(60, 20, until=80), 100, "train", "repeated visits to choose horizons from: needed 30"),
        (_every(3, 30, until=50), 50, "train", "history before the test on"),
        (_every(2, 1, until=200), 200, "train", "customers to learn repurchase from: needed 50, found 1"),
        (_every(2, 60, until=200), 200, "train", "who stayed away for the whole horizon: needed 20, found 0"),
    ],
    ids=["short", "no repeats", "no room for a split", "one customer", "one class"],
)
def test_the_gate_that_failed_is_named(run_regulars, empty_home, orders, days, step, said):
    _shop(empty_home, orders, days=days)
    built = run_regulars("features", "build", home=empty_home)
    if step == "features":
        assert (built.code, said in built.err) == (2, True), built.err
        before = sorted(empty_home.folder.iterdir())
        assert run_regulars("materialize", home=empty_home).code == 2
        assert sorted(empty_home.folder.iterdir()) == before
        return
    assert built.code == 0, built.err
    ran = run_regulars("train", "repurchase", "churn", "--trials", "1", home=empty_home)
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert "not enough data" in ran.err
    assert "Traceback" not in ran.err
    left = {path.name for path in empty_home.folder.iterdir()}
    assert left.isdisjoint({"mlflow.db", "artifacts", "search"}), left
