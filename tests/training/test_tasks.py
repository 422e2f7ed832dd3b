"""Horizons from the shop's own gaps between visits, and tasks by name."""

from __future__ import annotations

import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.errors import GateFailed, UnknownName
from tests.builders import Line, Order, at, shop
from training.silences import Silence
from training.tasks import ROUND_HORIZONS_DAYS, TASKS, auto_horizons, task, visit_gaps


def test_gaps_are_between_visit_days_not_orders():
    facts = shop(orders=[Order(at=at(day, hour), lines=(Line(),)) for day, hour in [(0, 9), (0, 18), (3, 9), (10, 9)]])
    assert visit_gaps(facts["orders"]) == [3, 7]


def test_a_gap_over_a_silence_says_nothing():
    facts = shop(orders=[Order(at=at(day), lines=(Line(),)) for day in (0, 3, 60, 64)])
    silence = Silence(first_on=at(4).date(), until_on=at(60).date())
    assert visit_gaps(facts["orders"], [silence]) == [3, 4]


def test_a_grocers_gaps_give_a_week_a_month_a_quarter():
    gaps = [3] * 70 + [7] * 20 + [21] * 8 + [60] * 2
    horizons = auto_horizons(gaps, history_days=364)
    assert {name: horizon.days for name, horizon in horizons.items()} == {
        "repurchase": 7,
        "churn": 30,
        "clv": 90,
        "next_order": 90,
    }
    assert "75% of the gaps between visits are within 7 days" in horizons["repurchase"].reason


def test_a_short_record_shortens_the_horizons_and_says_so():
    horizons = auto_horizons([3] * 70 + [7] * 20 + [21] * 10, history_days=130)
    assert horizons["clv"].days == 30
    assert "shortened to a quarter of the 130 days" in horizons["clv"].reason


@given(st.lists(st.integers(1, 500), min_size=30, max_size=200), st.integers(28, 2000))
def test_horizons_are_round_and_leave_history(gaps, history_days):
    for horizon in auto_horizons(gaps, history_days=history_days).values():
        assert horizon.days in ROUND_HORIZONS_DAYS
        assert horizon.days <= max(7, history_days / 4)


def test_too_few_repeats_name_the_gate():
    with pytest.raises(GateFailed, match="needed 30, found 2"):
        auto_horizons([1, 2], history_days=300)


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(UnknownName, match=r"did you mean 'churn'\? known: churn, clv, next_order, repurchase$"):
        task("chrun")


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_labels_of_no_orders_one_and_many(task):
    done = ibis.memtable({"order_count": [0, 1, 3], "net_amount": [0.0, 5.0, 12.5], "days_to_order": [9.0, 2.5, 0.5]})
    labels = {"repurchase": [0, 1, 1], "churn": [1, 0, 0], "clv": [0, 5, 12.5], "next_order": [9, 2.5, 0.5]}
    expected = labels[task.name]
    assert done.select(label=task.label(done)).execute()["label"].tolist() == expected
