"""The laws of drift: none between a set and itself, none by chance, and what moved is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.monitoring import drift_of, drift_table, population_stability

COLUMNS = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.one_of(st.sampled_from([0.0, 0.0, 1.0, np.nan]), st.floats(-1e6, 1e6, width=32)),
)


@settings(deadline=None)
@given(COLUMNS)
def test_none_between_a_set_and_itself_in_any_order(values):
    psi, noise = population_stability(values, values[::-1])
    assert psi == pytest.approx(0, abs=1e-12)
    assert noise > 0


@settings(deadline=None)
@given(COLUMNS, COLUMNS)
def test_never_negative_and_always_a_number(reference, today):
    psi, _ = population_stability(reference, today)
    assert np.isfinite(psi)
    assert psi >= 0


@pytest.mark.parametrize("shape", ["continuous", "counts", "mostly zero", "often missing", "constant"])
@pytest.mark.parametrize("sizes", [(5000, 2500), (5000, 40), (60, 30)], ids=str)
def test_chance_alone_is_hardly_ever_called_drift(shape, sizes):
    def drawn(generator, count):
        values = generator.normal(size=count)
        return {
            "continuous": values,
            "counts": generator.poisson(2, count).astype(float),
            "mostly zero": np.where(generator.random(count) < 0.8, 0.0, np.abs(values)),
            "often missing": np.where(generator.random(count) < 0.5, np.nan, values),
            "constant": np.full(count, 7.0),
        }[shape]

    found = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        reference, today = (drawn(generator, count) for count in sizes)
        found += drift_of("x", reference, today, threshold=0.1).is_drifted
    assert found <= 4


@pytest.mark.parametrize(
    "moved",
    [
        lambda x: x + 1,
        lambda x: x * 2.5,
        lambda x: np.where(np.arange(len(x)) % 2, np.nan, x),
        lambda x: np.where(x > np.quantile(x, 0.9), np.nan, x),
        lambda x: np.full(len(x), np.nan),
        lambda x: np.zeros(len(x)),
    ],
    ids=["shifted", "wider", "half missing", "the largest missing", "all missing", "all zero"],
)
@pytest.mark.parametrize("sizes", [(5000, 2500), (400, 200)], ids=str)
def test_what_moved_is_found(moved, sizes):
    generator = np.random.default_rng(1)
    reference, today = (generator.normal(size=count) for count in sizes)
    assert not drift_of("x", reference, today, threshold=0.25).is_drifted
    assert drift_of("x", reference, moved(today), threshold=0.25).is_drifted


@pytest.mark.parametrize("value", [-1.0, 8.0, np.nan])
def test_a_constant_that_changes_is_found(value):
    assert drift_of("x", np.full(500, 7.0), np.full(300, value), threshold=0.25).is_drifted


def test_the_column_that_was_shifted_stands_first_and_alone():
    generator = np.random.default_rng(3)
    reference, today = (generator.normal(size=(count, 4)).astype(np.float32) for count in (3000, 1000))
    today[:, 2] += 1
    first, *others = drift_table(("a", "b", "c", "d"), reference, today, threshold=0.25)
    assert (first.name, first.is_drifted) == ("c", True)
    assert not any(drift.is_drifted for drift in others)
    assert first.today_median - first.reference_median == pytest.approx(1, abs=0.2)
