"""Rhythms are found where they were planted, and what remains of a gap is what the distribution says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from facts.baskets import Baskets, baskets_of
from features.recommending.replenishment import (
    LEVELS,
    Remaining,
    Replenishment,
    calibrate,
    expect,
    learn_rhythms,
)

WITHIN, BETWEEN, MEANS = 0.3, 0.4, {"milk": np.log(7), "soap": np.log(40)}
NOW = 2_000.0


def planted(customers: int, seed: int) -> tuple[Baskets, pd.DataFrame]:
    """Return baskets of customers with rhythms of their own up to now, and of every pair when it was bought next."""
    chance = np.random.default_rng(seed)
    rows, coming = [], []
    for customer in range(customers):
        for product, mean in MEANS.items():
            own, at = chance.normal(mean, BETWEEN), chance.uniform(1_600, 1_900)
            while at < NOW:
                rows.append((str(customer), f"{product}-{at}", at, product))
                at += np.exp(chance.normal(own, WITHIN))
            coming.append((str(customer), product, at - NOW))
    told = pd.DataFrame(rows, columns=["customer_id", "basket", "at", "product_id"])
    return baskets_of(told, now=NOW), pd.DataFrame(coming, columns=["customer_id", "product_id", "days"])


def days_of(baskets: Baskets, remaining: Remaining, coming: pd.DataFrame) -> np.ndarray:
    keyed = coming.set_index(["customer_id", "product_id"])["days"]
    return keyed.loc[
        list(zip(baskets.customer_ids[remaining.customer], baskets.product_ids[remaining.item], strict=True))
    ].to_numpy()


def test_planted_rhythms_are_found():
    told, _ = planted(400, seed=1)
    found = learn_rhythms(told)
    assert dict(zip(told.product_ids, found.mean, strict=True)) == pytest.approx(MEANS, abs=0.15)
    assert np.sqrt(found.variances) == pytest.approx([WITHIN, BETWEEN], rel=0.2)


def test_planted_rhythms_are_covered_on_customers_that_were_not_looked_at():
    past, coming = planted(400, seed=2)
    remaining = expect(past, learn_rhythms(past))
    shares, levels = calibrate(remaining, days_of(past, remaining, coming))
    learned = Replenishment(rhythms=learn_rhythms(past), shares=shares, levels=levels, horizon_days=1_000)
    later, after = planted(400, seed=3)
    asked = expect(later, learn_rhythms(past))
    low, _, high = learned.interval(asked).T
    days = days_of(later, asked, after)
    assert np.mean((days >= low) & (days <= high)) == pytest.approx(0.8, abs=0.04)
    assert learned.share(asked).min() > 0.9


@given(
    mean=st.floats(0, 4), deviation=st.floats(0.1, 2), passed=st.floats(0.3, 60), level=st.sampled_from([*LEVELS, 0.3])
)
def test_what_remains_is_what_the_distribution_says_of_longer_gaps(mean, deviation, passed, level):
    one = np.array([0])
    remaining = Remaining(
        customer=one, item=one, mean=np.array([mean]), deviation=np.array([deviation]), passed_days=np.array([passed])
    )
    gap = stats.lognorm(deviation, scale=np.exp(mean))
    days = remaining.days(np.array([level]))
    assert remaining.level(days)[0] == pytest.approx(level, abs=1e-6)
    if gap.sf(passed) > 1e-6:
        expected = gap.isf((1 - level) * gap.sf(passed)) - passed
        assert days[0] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_one_purchase_has_no_rhythm_and_nothing_bought_no_rows():
    told = baskets_of(
        pd.DataFrame([("a", "1", 5.0, "x")], columns=["customer_id", "basket", "at", "product_id"]), now=9.0
    )
    remaining = expect(told, learn_rhythms(told))
    assert len(remaining.mean) == 0
    shares, levels = calibrate(remaining, np.empty(0))
    assert np.isnan(shares).all()
    assert np.isnan(levels).all()


def test_two_visits_of_an_hour_are_one():
    rows = [("a", str(n), at, "x") for n, at in enumerate([1.0, 1.04, 8.0])]
    told = baskets_of(pd.DataFrame(rows, columns=["customer_id", "basket", "at", "product_id"]), now=9.0)
    assert np.isfinite(expect(told, learn_rhythms(told)).mean).all()
