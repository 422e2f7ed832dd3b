"""Contacts and the pace that they give: own time and even time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.campaigns import NONE, Contacts, Pace, draw_contacts
from simulation.customers import Customers, draw_customers
from simulation.settings import SETTINGS, CannotSimulate, Settings

DAYS = 200


def drawn(seed: int, count: int = 200) -> tuple[Customers, Contacts, Pace]:
    rng = np.random.default_rng(seed)
    customers = draw_customers(rng, count, DAYS, SETTINGS)
    contacts = draw_contacts(rng, customers, DAYS, SETTINGS)
    return customers, contacts, Pace.of(customers, contacts)


@given(st.integers(0, 1000), st.floats(0, 400))
def test_own_time_and_even_time_undo_each_other(seed: int, own: float):
    customers, _contacts, pace = drawn(seed, 50)
    everyone = np.arange(len(customers))
    even = pace.even_of_own(np.full(len(customers), own), everyone)
    assert pace.own_of_even(even, everyone) == pytest.approx(np.full(len(customers), own), abs=1e-8)


@given(st.integers(0, 1000), st.floats(0, 200), st.floats(0, 200))
def test_own_time_goes_forward(seed: int, first: float, second: float):
    customers, _contacts, pace = drawn(seed, 50)
    everyone = np.arange(len(customers))
    early, late = (pace.own_of_even(customers.joined + after, everyone) for after in sorted((first, second)))
    assert (early <= late).all()


def test_a_campaign_changes_the_pace_by_its_factor_for_its_days_and_then_no_more():
    customers, contacts, pace = drawn(1)
    customer, campaign = np.nonzero(contacts.is_sent)
    at = contacts.at[customer, campaign]

    def passed(begin: float, end: float) -> np.ndarray:
        return pace.own_of_even(at + end, customer) - pace.own_of_even(at + begin, customer)

    assert passed(0, 14) == pytest.approx(14 * customers.campaign_factor[customer])
    assert passed(3, 4) == pytest.approx(customers.campaign_factor[customer])
    assert passed(14, 20) == pytest.approx(np.full(len(at), 6.0))


def test_a_campaign_that_is_not_sent_changes_nothing():
    customers, contacts, _pace = drawn(1)
    nothing = replace(contacts, is_sent=np.zeros_like(contacts.is_sent))
    pace = Pace.of(customers, nothing)
    everyone = np.arange(len(customers))
    assert pace.own_of_even(customers.joined + 100, everyone) == pytest.approx(np.full(len(customers), 100.0))


def test_only_who_has_joined_is_eligible_and_only_the_eligible_get_it():
    customers, contacts, _pace = drawn(3, 2000)
    assert (contacts.at[contacts.is_eligible] > np.broadcast_to(customers.joined[:, None], contacts.at.shape)[
        contacts.is_eligible
    ]).all()  # fmt: skip
    assert not (contacts.is_sent & ~contacts.is_eligible).any()
    assert 0 < contacts.is_eligible.mean() < 1


def test_which_campaign_acts():
    _customers, contacts, _pace = drawn(2)
    customer, campaign = np.nonzero(contacts.is_sent)
    at = contacts.at[customer, campaign]
    assert (contacts.acting_on(at, customer) == campaign).all()
    assert (contacts.acting_on(at + 13.9, customer) == campaign).all()
    assert (contacts.acting_on(at + 14.1, customer) == NONE).all()
    assert (contacts.acting_on(at - 0.1, customer) == NONE).all()


def test_a_record_too_short_for_a_campaign_has_none():
    rng = np.random.default_rng(1)
    customers = draw_customers(rng, 10, 14, SETTINGS)
    contacts = draw_contacts(rng, customers, 14, SETTINGS)
    pace = Pace.of(customers, contacts)
    everyone = np.arange(10)
    assert contacts.campaign_count == 0
    assert (contacts.acting_on(customers.joined, everyone) == NONE).all()
    assert pace.even_of_own(np.full(10, 5.0), everyone) == pytest.approx(customers.joined + 5)


def test_campaigns_that_overlap_are_refused():
    with pytest.raises(CannotSimulate, match="campaigns every 14 days that act for 14 overlap"):
        Settings(campaign_every_days=14)
