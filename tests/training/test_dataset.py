"""Labels by hand, and what a training set refuses."""

from __future__ import annotations

from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from tests.builders import Line, Order, at, histories, shop
from training.dataset import TrainingSet, outcomes


def _outcomes(orders, cutoff, *, horizon_days, customers=("ann",)):
    facts = shop(orders=orders)
    wanted = ibis.memtable(pd.DataFrame({"customer_id": list(customers), "cutoff": pd.Timestamp(cutoff)}))
    done = outcomes(facts["orders"], facts["order_lines"], wanted, horizon_days=horizon_days).execute()
    return done.set_index("customer_id")


def test_a_window_takes_its_first_instant_and_not_its_last():
    orders = [Order(at=at(day), lines=(Line(net="2.50"), Line(net="1.25"))) for day in (9.999, 10, 16.999, 17)]
    done = _outcomes(orders, at(10), horizon_days=7)
    assert done.loc["ann", "order_count"] == 2
    assert done.loc["ann", "net_amount"] == Decimal("7.5")


def test_who_does_nothing_has_nothing():
    done = _outcomes([Order(at=at(1), lines=(Line(),))], at(10), horizon_days=7)
    assert done.loc["ann", ["order_count", "net_amount"]].tolist() == [0, Decimal(0)]


@settings(max_examples=15, deadline=None)
@given(histories(min_orders=1))
def test_what_happened_before_the_cutoff_is_no_label(history):
    cutoff = at(10)
    rows = history.rows()
    customers = sorted({row["customer_id"] for row in rows["orders"]})
    done = _outcomes(history.orders, cutoff, horizon_days=14, customers=customers)
    for customer in customers:
        placed = [o for o in history.orders if o.customer == customer and at(10) <= o.at < at(24)]
        assert done.loc[customer, "order_count"] == len(placed)
        assert done.loc[customer, "net_amount"] == sum(
            (Decimal(line.net) for o in placed for line in o.lines), Decimal(0)
        )
        days = min([(o.at - cutoff).total_seconds() / 86_400 for o in placed], default=14)
        assert done.loc[customer, "days_to_order"] == pytest.approx(days)


def test_rows_of_some_cutoffs():
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b"],
            "cutoff": pd.DatetimeIndex([at(1), at(2), at(2)]),
            "f": [1.0, np.nan, 3.0],
            "label": [0.0, 1.0, 1.0],
        }
    )
    later = TrainingSet(frame, ("f",)).at([at(2)])
    assert later.label.tolist() == [1, 1]
    np.testing.assert_array_equal(later.matrix, np.array([[np.nan], [3]], dtype=np.float32))
