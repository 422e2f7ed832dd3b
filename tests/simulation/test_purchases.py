"""Purchases follow BG/NBD: rates, dropout, and the published expectations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features import bg_nbd
from simulation.campaigns import Pace, draw_contacts
from simulation.customers import Customers, draw_customers
from simulation.purchases import Purchases, draw_purchases, expected_orders
from simulation.settings import SETTINGS

DAYS, COUNT = 365, 20_000
NO_EFFECT = replace(SETTINGS, effect_scale=0.0)


def drawn(customers: Customers, seed: int = 5, until: float = DAYS) -> Purchases:
    rng = np.random.default_rng(seed)
    contacts = draw_contacts(rng, customers, DAYS, NO_EFFECT)
    return draw_purchases(rng, customers, Pace.of(customers, contacts), np.full(len(customers), until))


def alike(count: int, *, rate: float, dropout: float) -> Customers:
    """Return customers who all joined on day 1, with one rate a week and one dropout probability."""
    customers = draw_customers(np.random.default_rng(1), count, DAYS, NO_EFFECT)
    same = {"purchases_per_week": rate, "dropout_probability": dropout, "joined": 1.0}
    return replace(customers, **{name: np.full(count, value) for name, value in same.items()})


@pytest.fixture(scope="module")
def crowd() -> tuple[Customers, Purchases]:
    customers = draw_customers(np.random.default_rng(3), COUNT, DAYS, NO_EFFECT)
    return customers, drawn(customers)


def test_who_never_leaves_buys_at_the_rate():
    customers = alike(COUNT, rate=0.3, dropout=1e-9)
    counts = np.bincount(drawn(customers).customer) - 1
    expected = 0.3 * (DAYS - 1) / 7
    assert counts.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / COUNT))
    assert counts.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / COUNT))  # Poisson


def test_orders_come_as_often_as_expected_of_who_may_leave():
    customers = alike(COUNT, rate=0.5, dropout=0.2)
    counts = np.bincount(drawn(customers).customer) - 1
    expected = expected_orders(customers, np.full(COUNT, DAYS - 1.0))[0]
    assert expected == pytest.approx((1 - np.exp(-0.5 * 0.2 * (DAYS - 1) / 7)) / 0.2)
    assert counts.mean() == pytest.approx(expected, abs=4 * counts.std() / np.sqrt(COUNT))


def test_each_repeat_order_is_the_last_with_the_dropout_probability_and_the_first_never_is():
    count = 4000
    customers = alike(count, rate=5.0, dropout=0.3)  # all leave within the year
    purchases = drawn(customers)
    repeats = np.bincount(purchases.customer) - 1
    assert np.isfinite(purchases.alive_until).mean() == 1
    assert repeats.min() == 1
    assert repeats.mean() == pytest.approx(1 / 0.3, abs=4 * np.sqrt(0.7) / 0.3 / np.sqrt(count))


def test_nobody_buys_after_their_last_order_or_before_their_first(crowd: tuple[Customers, Purchases]):
    customers, purchases = crowd
    assert (purchases.even <= purchases.alive_until[purchases.customer]).all()
    assert (purchases.even >= customers.joined[purchases.customer]).all()
    last = np.isfinite(purchases.alive_until)
    assert np.isin(purchases.alive_until[last], purchases.even).all()


def test_orders_are_numbered_in_time(crowd: tuple[Customers, Purchases]):
    _customers, purchases = crowd
    same = np.diff(purchases.customer) == 0
    assert (np.diff(purchases.number)[same] == 1).all()
    assert (np.diff(purchases.even)[same] > 0).all()
    assert (purchases.number[np.flatnonzero(np.diff(purchases.customer, prepend=-1))] == 0).all()


def test_a_longer_record_of_the_future_leaves_the_expectation_as_it_is():
    customers = alike(COUNT, rate=0.5, dropout=0.1)
    far = drawn(customers, until=3 * DAYS)
    near = np.bincount(far.customer[far.even < DAYS], minlength=COUNT) - 1
    expected = expected_orders(customers, np.full(COUNT, DAYS - 1.0))[0]
    assert near.mean() == pytest.approx(expected, abs=4 * near.std() / np.sqrt(COUNT))


def test_a_fit_of_bg_nbd_finds_the_parameters(crowd: tuple[Customers, Purchases]):
    customers, purchases = crowd
    last = np.append(np.flatnonzero(np.diff(purchases.customer)), len(purchases.customer) - 1)
    frequency = purchases.number[last].astype(float)
    recency = purchases.even[last] - customers.joined
    found = bg_nbd.fit(frequency, recency, DAYS - customers.joined)
    # Four standard errors each, as spread over twelve seeds.
    assert found.r == pytest.approx(NO_EFFECT.rate_shape, rel=0.065)
    assert found.alpha == pytest.approx(NO_EFFECT.rate_weeks, rel=0.065)
    assert found.a / (found.a + found.b) == pytest.approx(0.8 / 7.8, rel=0.085)
