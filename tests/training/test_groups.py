"""Groups of customers measured apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.groups import GROUPS, LEAST_ROWS, measure_groups


@pytest.fixture
def frame():
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "visit_count": random.integers(1, 12, size=400),
            "spend_amount_365d": random.gamma(2.0, size=400),
            "order_overdue_ratio_live_365d": np.where(
                random.random(400) < 0.3, np.nan, random.gamma(2.0, 0.5, size=400)
            ),
        }
    )


def test_each_group_is_measured_on_its_own_rows(frame):
    random = np.random.default_rng(2)
    actual = random.gamma(2.0, size=400)
    predicted = actual + random.normal(size=400)
    quantiles = np.column_stack([actual - 1, predicted, actual + 1])
    found = {g.group: g for g in measure_groups("amount", frame, actual, predicted, quantiles, draws=20, seed=1)}
    assert set(found) == {group.name for group in GROUPS}
    new = (frame["visit_count"] <= 2).to_numpy()
    assert found["new"].rows == new.sum()
    assert found["new"].mean_actual == pytest.approx(actual[new].mean())
    assert found["new"].estimates["mae"].value == pytest.approx(np.abs(actual - predicted)[new].mean())
    assert found["heavy"].rows == 40
    lapsed = (frame["order_overdue_ratio_live_365d"] > 1).to_numpy()
    assert found["lapsed"].rows == lapsed.sum()  # of whom nothing is known is not one of them
    assert all(group.estimates["coverage_80"].value == 1 for group in found.values())


def test_a_small_group_and_one_that_cannot_be_told_are_left_out(frame):
    few = frame.assign(visit_count=np.where(np.arange(400) < LEAST_ROWS - 1, 1, 9)).drop(columns="spend_amount_365d")
    label = (np.arange(400) % 2).astype(float)
    found = measure_groups("probability", few, label, np.full(400, 0.5), None, draws=5, seed=1)
    assert [group.group for group in found] == ["lapsed"]
