"""The orders that the shop sees: sales, attempts that were cancelled before them, and returns after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.baskets import Baskets
from simulation.campaigns import NONE, Contacts
from simulation.clock import DAY, HOUR, MILLISECOND, Floats, Ints
from simulation.customers import Customers, of_style
from simulation.purchases import numbers_within
from simulation.settings import Settings

KINDS = ("sale", "cancelled", "return")
SALE, CANCELLED, RETURN = range(len(KINDS))
ATTEMPT_HOURS = (0.5, 3.0)  # before the sale that took its place
ATTEMPT_DAYS = 0.3  # no attempt or session reaches further back in even time, the busiest hours' included
SESSION_DAYS = 0.05
CANCEL_HOURS = (0.02, 0.3)  # after the attempt
RETURN_DAYS = (2.0, 21.0)  # after the sale
LINE_RETURN_PROBABILITY = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Sales by customer and time, then cancelled attempts, then returns; `sale` is the sale that each belongs to.

    Lines are those of `line_order`; counts and amounts (cents) are positive, of returns too.
    """

    customer: Ints
    number: Ints  # of the sale, 0 for the customer's first
    kind: Ints
    at: Ints  # microseconds
    cancelled_at: Ints  # NONE where it is not
    sale: Ints
    coupon: Ints  # the campaign whose coupon it uses, or NONE
    link: Ints  # the campaign whose link led to it, or NONE
    sale_count: int
    line_order: Ints
    line_number: Ints
    product: Ints
    unit_count: Ints
    unit_cents: Ints
    discount_cents: Ints
    coupon_cents: Ints

    @property
    def gross_cents(self) -> Ints:
        """Amount of every line before discounts."""
        return self.unit_count * self.unit_cents

    @property
    def net_cents(self) -> Ints:
        """Amount of every line after discounts."""
        return self.gross_cents - self.discount_cents

    def sum_of(self, cents: Ints) -> Ints:
        """Return a sum over the lines of every order."""
        sums = np.bincount(self.line_order, weights=cents, minlength=len(self.customer))
        return np.asarray(np.round(sums), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """The sales of a chunk, by customer and time."""

    customer: Ints
    number: Ints
    even: Floats
    at: Ints


def make_orders(
    rng: np.random.Generator,
    customers: Customers,
    contacts: Contacts,
    sales: Sales,
    baskets: Baskets,
    until: int,
    settings: Settings,
) -> Orders:
    """Add to the sales what is cancelled and what comes back before the end of the record."""
    style, count = customers.style[sales.customer], len(sales.customer)
    acting = contacts.acting_on(sales.even, sales.customer)
    uses_coupon = rng.random(count) < of_style(settings, "coupon_probability")[style]
    follows_link = rng.random(count) < of_style(settings, "open_probability")[style]
    # What leads to a session, or is used in an attempt, had been received by then.
    acted_at_start, acted_at_attempt = (
        contacts.acting_on(sales.even - days, sales.customer) for days in (SESSION_DAYS, ATTEMPT_DAYS)
    )
    coupon, link = np.where(uses_coupon, acting, NONE), np.where(follows_link, acted_at_start, NONE)
    attempted = np.flatnonzero((rng.random(count) < settings.cancel_rate) & (acting == acted_at_attempt))
    attempted_at = sales.at[attempted] - _draw_span(rng, len(attempted), ATTEMPT_HOURS, HOUR)
    cancelled_at = attempted_at + _draw_span(rng, len(attempted), CANCEL_HOURS, HOUR)
    returned = np.flatnonzero(rng.random(count) < customers.return_probability[sales.customer])
    returned_at = sales.at[returned] + _draw_span(rng, len(returned), RETURN_DAYS, DAY)
    returned, returned_at = returned[returned_at < until], returned_at[returned_at < until]
    sale = np.concatenate([np.arange(count), attempted, returned])
    kind = np.repeat([SALE, CANCELLED, RETURN], [count, len(attempted), len(returned)])
    line, line_order = _lines(rng, baskets, sale, kind)
    coupon_cents = _coupon_cents(baskets, coupon, settings)
    return Orders(
        customer=sales.customer[sale],
        number=sales.number[sale],
        kind=kind,
        at=np.concatenate([sales.at, attempted_at, returned_at]),
        cancelled_at=np.concatenate([np.full(count, NONE), cancelled_at, np.full(len(returned), NONE)]),
        sale=sale,
        coupon=coupon[sale],
        link=link[sale],
        sale_count=count,
        line_order=line_order,
        line_number=baskets.line_number[line],
        product=baskets.product[line],
        unit_count=baskets.unit_count[line],
        unit_cents=baskets.unit_cents[line],
        discount_cents=(baskets.sale_cents + coupon_cents)[line],
        coupon_cents=coupon_cents[line],
    )


def _draw_span(rng: np.random.Generator, count: int, bounds: tuple[float, float], unit: int) -> Ints:
    return np.round(rng.uniform(*bounds, count) * unit / MILLISECOND).astype(np.int64) * MILLISECOND


def _coupon_cents(baskets: Baskets, coupon: Ints, settings: Settings) -> Ints:
    rates = np.array(settings.coupon_rates)
    rate = np.where(coupon == NONE, 0.0, rates[coupon % len(rates)])[baskets.order]
    return np.asarray(np.floor((baskets.gross_cents - baskets.sale_cents) * rate), dtype=np.int64)


def _lines(rng: np.random.Generator, baskets: Baskets, sale: Ints, kind: Ints) -> tuple[Ints, Ints]:
    """Return the basket's line and the order of every line: all of a sale's, some of them where they come back."""
    counts = np.bincount(baskets.order, minlength=int((kind == SALE).sum()))
    start = np.cumsum(counts) - counts
    within = numbers_within(counts[sale])
    order = np.repeat(np.arange(len(sale)), counts[sale])
    is_kept = (kind[order] != RETURN) | (within == 0) | (rng.random(len(order)) < LINE_RETURN_PROBABILITY)
    return (np.repeat(start[sale], counts[sale]) + within)[is_kept], order[is_kept]
