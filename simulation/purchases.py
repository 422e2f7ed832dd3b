"""When customers buy: Poisson in their own time, until a repeat order turns out to be the last (BG/NBD).

As in Fader, Hardie & Lee (2005) the first order is given, a customer can drop out only at a repeat order, and does so
with the same probability at each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.campaigns import Contacts, Pace
from simulation.clock import Bools, Floats, Ints
from simulation.customers import Customers

WEEK_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """Every order of a chunk's customers in the record and the days after it, by customer and number.

    `number` is 0 for the first order. `alive_until` is each customer's last order, infinite for those who outlive the
    days after the record.
    """

    customer: Ints
    number: Ints
    even: Floats
    alive_until: Floats


def draw_purchases(rng: np.random.Generator, customers: Customers, pace: Pace, until: Floats) -> Purchases:
    """Draw the orders of every customer up to an even time each."""
    everyone = np.arange(len(customers))
    span = pace.own_of_even(until, everyone)
    counts = rng.poisson(customers.purchases_per_week / WEEK_DAYS * span)
    lifetime_orders = rng.geometric(customers.dropout_probability)  # repeat orders, the last included
    customer = np.repeat(everyone, counts)
    own = rng.random(len(customer)) * span[customer]
    own = own[np.lexsort((own, customer))]
    number = numbers_within(counts) + 1
    kept = number <= lifetime_orders[customer]
    customer, number, own = customer[kept], number[kept], own[kept]
    even = pace.even_of_own(own, customer)
    last = number == lifetime_orders[customer]
    alive_until = np.full(len(customers), np.inf)
    alive_until[customer[last]] = even[last]
    return _with_first(customers, customer, number, even, alive_until)


def _with_first(customers: Customers, customer: Ints, number: Ints, even: Floats, alive_until: Floats) -> Purchases:
    everyone = np.arange(len(customers))
    customer = np.concatenate([everyone, customer])
    number = np.concatenate([np.zeros_like(everyone), number])
    even = np.concatenate([customers.joined, even])
    order = np.lexsort((number, customer))
    return Purchases(customer=customer[order], number=number[order], even=even[order], alive_until=alive_until)


def numbers_within(counts: Ints) -> Ints:
    """Return 0, 1, ... within each of some groups of these sizes."""
    start = np.cumsum(counts) - counts
    return np.asarray(np.arange(counts.sum()) - np.repeat(start, counts), dtype=np.int64)


def expected_orders(customers: Customers, own_days: Floats) -> Floats:
    """Return how many orders a customer who is alive makes, on average, in so many days of own time.

    Orders come at the rate and each is the last with probability p: (1 - exp(-rate p t)) / p.
    """
    weeks = own_days / WEEK_DAYS
    p = customers.dropout_probability.reshape(-1, *[1] * (own_days.ndim - 1))
    rate = customers.purchases_per_week.reshape(p.shape)
    return np.asarray(-np.expm1(-rate * p * weeks) / p, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What each campaign does to each customer, customer x campaign, over the days for which it acts."""

    is_alive: Bools
    expected_if_sent: Floats
    expected_if_not: Floats
    order_count: Ints  # what then happened


def effects_of(customers: Customers, contacts: Contacts, purchases: Purchases) -> Effects:
    """Return the expected orders with and without each campaign, and the orders that came."""
    is_alive = contacts.at < purchases.alive_until[:, None]
    days = np.full(contacts.at.shape, contacts.days)
    counts = np.zeros(contacts.at.shape, dtype=np.int64)
    for campaign in range(contacts.campaign_count):
        since = purchases.even - contacts.at[purchases.customer, campaign]
        bought = purchases.customer[(since >= 0) & (since < contacts.days)]
        counts[:, campaign] = np.bincount(bought, minlength=len(customers))
    return Effects(
        is_alive=is_alive,
        expected_if_sent=is_alive * expected_orders(customers, days * customers.campaign_factor[:, None]),
        expected_if_not=is_alive * expected_orders(customers, days),
        order_count=counts,
    )
