"""Customers with more to come: who is flagged, and whether they out-grow others of equal spend."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scoring.potential import fit_potential
from training.dataset import TrainingSet
from training.potential import SPEND, learn_potential, measure_growth


def _customers(count, *, seed, has_more):
    """Spend so far, and what half of the later spend of some follows that nobody sees in it."""
    random = np.random.default_rng(seed)
    spend = random.gamma(1.0, 100.0, size=count)
    hidden = random.random(count) < 0.15
    later = spend * 0.3 + np.where(hidden & has_more, 150.0, 0.0) + random.gamma(1.0, 20.0, size=count)
    predicted = spend * 0.3 + np.where(hidden, 120.0, 0.0) + random.normal(0, 5, size=count)
    frame = pd.DataFrame({SPEND: spend.astype(np.float32), "label": later})
    return TrainingSet(frame, (SPEND,)), predicted


def test_only_the_lower_half_is_flagged_a_tenth_of_each_band():
    rows, predicted = _customers(4000, seed=1, has_more=True)
    found = learn_potential(rows, predicted)
    spend = rows.frame[SPEND].to_numpy(dtype=float)
    flags, band = found.flags(spend, predicted), found.band_of(spend)
    assert not flags[spend > np.median(spend) + 0.01].any()
    for number in range(len(found.least)):
        assert flags[band == number].mean() == pytest.approx(0.1, abs=0.01)
    assert not found.flags(np.array([np.nan]), np.array([1e9]))[0]  # of whom no spend is known


def test_those_with_more_to_come_out_grow_others_of_equal_spend():
    past, said = _customers(4000, seed=1, has_more=True)
    later, predicted = _customers(4000, seed=2, has_more=True)
    growth = measure_growth(learn_potential(past, said), later, predicted, draws=200, seed=1)
    assert growth.holds
    assert growth.mean_flagged > growth.mean_others + 100


def test_where_nothing_comes_of_it_nothing_holds():
    past, said = _customers(4000, seed=1, has_more=False)
    later, predicted = _customers(4000, seed=2, has_more=False)
    growth = measure_growth(learn_potential(past, said), later, predicted, draws=200, seed=1)
    assert not growth.holds
    assert growth.ratio.low < 1.1


def test_too_few_or_all_alike_are_not_told():
    assert fit_potential(SPEND, np.full(500, 3.0), np.arange(500.0)) is None
    assert fit_potential(SPEND, np.arange(20.0), np.arange(20.0)) is None
    assert fit_potential(SPEND, np.full(20, np.nan), np.arange(20.0)) is None
    few, predicted = _customers(300, seed=1, has_more=True)
    potential = learn_potential(few, predicted)
    assert potential is not None
    assert (
        measure_growth(potential, TrainingSet(few.frame.head(30), few.features), predicted[:30], draws=5, seed=1)
        is None
    )
