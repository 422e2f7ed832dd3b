"""Orders of a customer who is there, against their sum: P(N > j) times the chance to be there after j of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import nbinom

from features.bg_nbd_orders import _beta_nodes, _closed_form, orders_if_alive

magnitudes = st.floats(-3, 3).map(lambda power: 10**power)
counts = st.sampled_from([0, 1, 2, 5, 30, 400, 5000])
stretches = st.floats(-4, 3).map(lambda power: 10**power)


def added_up(r: float, a: float, b: float, x: float, stretch: float) -> float:
    """The visits of a customer who never leaves are negative binomial; the j-th is made by those who stayed for it."""
    visits = nbinom(r + x, 1 / (1 + stretch))
    j = np.arange(visits.isf(1e-15) + 2)
    stayed = gammaln(b + x + j) - gammaln(b + x) + gammaln(a + b + x) - gammaln(a + b + x + j)
    return float((visits.sf(j) * np.exp(stayed)).sum())


def one(r: float, a: float, b: float, x: float, stretch: float) -> float:
    return float(orders_if_alive(r, a, b, np.array([float(x)]), np.array([stretch]))[0])


@settings(max_examples=150, deadline=None)
@given(magnitudes, magnitudes, magnitudes, counts, stretches)
@example(0.243, 0.793, 2.426, 2, 0.9)
@example(0.5, 1.0, 2.0, 0, 0.3)  # a pole of the closed form
@example(0.5, 1.0 + 1e-12, 2.0, 7, 0.3)  # close by: it loses its digits
@example(0.5, 0.3, 0.7, 0, 3.0)  # the other pole
@example(0.5, 0.25, 0.25, 0, 3.0)  # beyond it
@example(0.5, 1.0, 1e-5, 0, 3.0)  # both
@example(0.5, 1e-5, 1.0, 0, 3.0)
@example(0.1, 0.1, 1.0, 400, 100.0)  # hyp2f1 fails on a numerator that is almost 0
@example(19.3, 16.7, 468.0, 0, 581.0)  # hyp2f1 overflows
@example(3.9, 880.0, 180.0, 100, 50.0)
@example(400.0, 147.0, 0.03, 2000, 90.0)
def test_the_closed_form_is_the_sum(r: float, a: float, b: float, x: int, stretch: float):
    assume((r + x) * stretch < 2e5)
    assert one(r, a, b, x, stretch) == pytest.approx(added_up(r, a, b, x, stretch), rel=1e-6)


def test_where_the_closed_form_overflows_the_quadrature_answers():
    r, a, b, x, stretch = 3.9, 880.0, 180.0, np.array([100.0, 0.0]), np.array([50.0, 50.0])
    assert not np.isfinite(_closed_form(r, a, b, x, stretch)[0]).all()
    assert np.isfinite(orders_if_alive(r, a, b, x, stretch)).all()


@pytest.mark.parametrize(("a", "b"), [(0.8, 2.4), (1.0, 1.0), (0.02, 300.0), (500.0, 9000.0), (0.5, 0.5)])
def test_the_nodes_carry_the_moments_of_their_distribution(a: float, b: float):
    nodes, weights = _beta_nodes(a, b)
    power = np.arange(1, 30)
    of_beta = np.exp(gammaln(a + power) - gammaln(a) + gammaln(a + b) - gammaln(a + b + power))
    assert weights.sum() == pytest.approx(1)
    assert weights @ nodes[:, None] ** power == pytest.approx(of_beta, rel=1e-9)


@settings(deadline=None)
@given(magnitudes, magnitudes, magnitudes, counts, st.floats(-9, 6).map(lambda power: 10**power))
def test_orders_are_fewer_than_visits_of_one_who_never_leaves(r: float, a: float, b: float, x: int, stretch: float):
    orders = one(r, a, b, x, stretch)
    assert 0 < orders <= (r + x) * stretch


@pytest.mark.parametrize("a", [0.793, 1.0])
def test_no_horizon_no_orders(a: float):
    assert one(0.243, a, 2.426, 4, 0.0) == 0
