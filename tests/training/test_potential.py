"""Customers with more to come: who is flagged, and whether they out-grow others of equal spend."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.potential import SPEND, fit_potential
from training.potential import measure_growth


def _customers(count, *, seed, has_more):
    """Spend so far, the later spend, of which some have more that nobody sees in the first, and what was predicted."""
    random = np.random.default_rng(seed)
    spend = random.gamma(1.0, 100.0, size=count)
    hidden = random.random(count) < 0.15
    later = spend * 0.3 + np.where(hidden & has_more, 150.0, 0.0) + random.gamma(1.0, 20.0, size=count)
    return spend, later, spend * 0.3 + np.where(hidden, 120.0, 0.0) + random.normal(0, 5, size=count)


def test_only_the_lower_half_is_flagged_a_tenth_of_each_band():
    spend, _, predicted = _customers(4000, seed=1, has_more=True)
    found = fit_potential(SPEND, spend, predicted)
    flags, band = found.flags(spend, predicted), found.band_of(spend)
    assert not flags[spend > np.median(spend) + 0.01].any()
    for number in range(len(found.least)):
        assert flags[band == number].mean() == pytest.approx(0.1, abs=0.01)
    assert not found.flags(np.array([np.nan]), np.array([1e9]))[0]  # of whom no spend is known


@pytest.mark.parametrize("has_more", [True, False])
def test_it_holds_where_they_out_grow_others_of_equal_spend_and_not_elsewhere(has_more):
    past, _, said = _customers(4000, seed=1, has_more=has_more)
    growth = measure_growth(
        fit_potential(SPEND, past, said), *_customers(4000, seed=2, has_more=has_more), draws=200, seed=1
    )
    assert growth.holds is has_more
    assert (growth.mean_flagged > growth.mean_others + 100) is has_more


def test_nobody_is_flagged_for_what_is_usual():
    spend = np.repeat(np.arange(1.0, 101.0), 20)
    predicted = np.where(np.arange(len(spend)) % 20 == 0, 50.0, 0.0)  # nineteen of twenty are expected to spend nothing
    found = fit_potential(SPEND, spend, predicted)
    assert set(found.typical) == {0.0}
    assert (predicted[found.flags(spend, predicted)] > 0).all()


def test_too_few_or_all_alike_are_not_told():
    assert fit_potential(SPEND, np.full(500, 3.0), np.arange(500.0)) is None
    assert fit_potential(SPEND, np.arange(20.0), np.arange(20.0)) is None
    assert fit_potential(SPEND, np.full(20, np.nan), np.arange(20.0)) is None
    spend, later, predicted = _customers(300, seed=1, has_more=True)
    potential = fit_potential(SPEND, spend, predicted)
    assert measure_growth(potential, spend[:30], later[:30], predicted[:30], draws=5, seed=1) is None
