"""Visits to the shop: pages, searches, products viewed and put into the cart, with or without an order at the end.

Some sessions show the intent pattern: three products of one category viewed, then an earlier order viewed, then the
delivery options, each step within two minutes of the last. An earlier order viewed at the start of a session, or
delivery options seen on the way to the checkout, do not make it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from simulation.baskets import category_of, draw_other
from simulation.campaigns import NONE, Contacts
from simulation.catalogue import draw_products
from simulation.clock import HOUR, MILLISECOND, SECOND, Bools, Clocks, Floats, Ints
from simulation.customers import Customers, of_style
from simulation.events import Events, Kind
from simulation.orders import RETURN, Orders
from simulation.purchases import WEEK_DAYS, Purchases, numbers_within
from simulation.settings import Settings

INTENT_VIEWS = 3
OPENING_DAYS = 0.25  # from a campaign to the visit that it leads to, on average
FAVOURITE_PROBABILITY = 0.6
GAP_LOG_MEDIAN, GAP_LOG_SD, GAP_SECONDS = 2.8, 0.8, (1.0, 100.0)
LIST_PROBABILITY = 0.5
STATUS_PROBABILITY = 0.05  # of a look at an earlier order, at the start
LINE_VIEW_PROBABILITY = 0.5
CART_PROBABILITY = 0.6
SECOND_ADD_PROBABILITY = 0.3
REMOVE_PROBABILITY = 0.25
ABANDONED_CHECKOUT_PROBABILITY = 0.3
DELIVERY_PROBABILITY = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """One row a session; `order` is the order at its end, or NONE; `earlier` an order before it, or NONE."""

    customer: Ints
    at: Ints  # microseconds: of the order, or where there is none of the start
    order: Ints
    earlier: Ints
    category: Ints
    link: Ints  # the campaign that led to it, or NONE
    has_intent: Bools

    @classmethod
    def concat(cls, first: Sessions, second: Sessions) -> Sessions:
        """Return the sessions of both."""
        names = [f.name for f in fields(cls)]
        return cls(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names})

    def __len__(self) -> int:
        return len(self.customer)


def checkout_sessions(rng: np.random.Generator, customers: Customers, orders: Orders, settings: Settings) -> Sessions:
    """Return the session at the end of which each sale, or cancelled attempt, was made."""
    order = np.flatnonzero(orders.kind != RETURN)
    customer, sale = orders.customer[order], orders.sale[order]
    before = np.maximum(sale - 1, 0)
    is_seen = (orders.number[order] > 0) & (orders.at[before] < orders.at[order] - HOUR)
    earlier = np.where(is_seen, before, NONE)
    first_line = np.searchsorted(orders.line_order, order)
    probability = of_style(settings, "order_intent_probability")[customers.style[customer]]
    return Sessions(
        customer=customer,
        at=orders.at[order],
        order=order,
        earlier=earlier,
        category=category_of(orders.product[first_line]),
        link=orders.link[order],
        has_intent=(earlier != NONE) & (rng.random(len(order)) < probability),
    )


def visit_sessions(
    rng: np.random.Generator,
    customers: Customers,
    contacts: Contacts,
    purchases: Purchases,
    orders: Orders,
    clocks: Clocks,
    settings: Settings,
) -> Sessions:
    """Draw the sessions without an order: of the customers' own accord, and those that a campaign led to."""
    own_customer, own_even = _own_visits(rng, customers, purchases, clocks, settings)
    led_customer, led_even, link = _led_visits(rng, customers, contacts, purchases, settings)
    customer = np.concatenate([own_customer, led_customer])
    at = clocks.to_utc(np.concatenate([own_even, led_even]), customers.zone[customer])
    earlier = _latest_sale(orders, customer, at, clocks)
    favourite = customers.preference[customer, rng.integers(0, settings.favourite_count, len(customer))]
    other = draw_other(rng, customers, customer, settings)
    probability = of_style(settings, "visit_intent_probability")[customers.style[customer]]
    return Sessions(
        customer=customer,
        at=at,
        order=np.full(len(customer), NONE),
        earlier=earlier,
        category=np.where(rng.random(len(customer)) < FAVOURITE_PROBABILITY, favourite, other),
        link=np.concatenate([np.full(len(own_customer), NONE), link]),
        has_intent=(earlier != NONE) & (rng.random(len(customer)) < probability),
    )


def _own_visits(
    rng: np.random.Generator, customers: Customers, purchases: Purchases, clocks: Clocks, settings: Settings
) -> tuple[Ints, Floats]:
    """Draw visits at a constant rate, of which little is left after the last order."""
    end = clocks.even_at(clocks.record.end)[customers.zone]
    active = np.minimum(purchases.alive_until, end) - customers.joined
    lapsed = np.maximum(end - customers.joined - active, 0.0) * settings.lapsed_visit_factor
    counts = rng.poisson(customers.visits_per_week / WEEK_DAYS * (active + lapsed))
    customer = np.repeat(np.arange(len(customers)), counts)
    place = rng.random(len(customer)) * (active + lapsed)[customer]
    beyond = np.maximum(place - active[customer], 0.0)
    return customer, customers.joined[customer] + place - beyond + beyond / max(settings.lapsed_visit_factor, 1e-9)


def _led_visits(
    rng: np.random.Generator, customers: Customers, contacts: Contacts, purchases: Purchases, settings: Settings
) -> tuple[Ints, Floats, Ints]:
    is_alive = contacts.at < purchases.alive_until[:, None]
    probability = of_style(settings, "open_probability")[customers.style][:, None]
    probability = probability * np.where(is_alive, 1.0, settings.lapsed_visit_factor)
    customer, campaign = np.nonzero(contacts.is_sent & (rng.random(contacts.at.shape) < probability))
    return customer, contacts.at[customer, campaign] + rng.exponential(OPENING_DAYS, len(customer)), campaign


def _latest_sale(orders: Orders, customer: Ints, at: Ints, clocks: Clocks) -> Ints:
    """Return each customer's last sale before an instant, or NONE."""
    span = clocks.record.end - clocks.record.start + 1
    sales = orders.customer[: orders.sale_count] * span + orders.at[: orders.sale_count] - clocks.record.start
    place = np.searchsorted(sales, customer * span + np.clip(at - clocks.record.start, 0, span - 1)) - 1
    is_own = (place >= 0) & (orders.customer[np.maximum(place, 0)] == customer)
    return np.where(is_own, place, NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """Rows of some phase of some sessions."""

    session: Ints
    kind: int
    line: Ints | None = None
    product: Ints | None = None


def session_events(
    rng: np.random.Generator, customers: Customers, orders: Orders, sessions: Sessions, settings: Settings
) -> Events:
    """Return the events of sessions; of each session in the order of its phases, its order last."""
    steps = _steps(rng, customers, orders, sessions, settings)
    session = np.concatenate([step.session for step in steps])
    phase = np.repeat(np.arange(len(steps)), [len(step.session) for step in steps])
    place = np.lexsort((phase, session))
    session = session[place]
    kind = np.repeat([int(step.kind) for step in steps], [len(step.session) for step in steps])[place]
    line, product = (_column(steps, name)[place] for name in ("line", "product"))
    return Events.of(
        customer=sessions.customer[session],
        at=_times(rng, sessions, session),
        kind=kind,
        order=np.where(kind == Kind.ORDER_VIEWED, sessions.earlier[session], sessions.order[session]),
        line=line,
        product=product,
        category=sessions.category[session],
        campaign=np.where(kind == Kind.COUPON, orders.coupon[sessions.order[session]], sessions.link[session]),
    )


def _steps(
    rng: np.random.Generator, customers: Customers, orders: Orders, sessions: Sessions, settings: Settings
) -> list[_Steps]:
    """Return what happens in the sessions, phase after phase."""
    everyone = np.arange(len(sessions))
    style = customers.style[sessions.customer]
    has_order = sessions.order != NONE

    def chosen(probability: float | Floats, among: Bools) -> Ints:
        return np.flatnonzero(among & (rng.random(len(sessions)) < probability))

    def views(session: Ints) -> _Steps:
        return _Steps(session=session, kind=Kind.VIEWED, product=draw_products(rng, sessions.category[session]))

    always = np.ones(len(sessions), dtype=np.bool_)
    view_counts = rng.poisson(of_style(settings, "views_mean")[style]) + ~has_order
    intent = np.flatnonzero(sessions.has_intent)
    line_session, line = _lines_of(orders, sessions)
    line_seen = rng.random(len(line)) < LINE_VIEW_PROBABILITY
    abandoned = chosen(of_style(settings, "abandon_probability")[style], ~has_order)
    added = np.repeat(abandoned, 1 + (rng.random(len(abandoned)) < SECOND_ADD_PROBABILITY))
    product = draw_products(rng, sessions.category[added])
    removed = np.flatnonzero((rng.random(len(added)) < REMOVE_PROBABILITY) & _is_first(added))
    has_cart = has_order.copy()
    has_cart[abandoned] = True
    return [
        _Steps(session=everyone, kind=Kind.PAGE),
        _Steps(session=chosen(STATUS_PROBABILITY, sessions.earlier != NONE), kind=Kind.ORDER_VIEWED),
        _Steps(session=chosen(of_style(settings, "search_probability")[style], always), kind=Kind.SEARCHED),
        _Steps(session=chosen(LIST_PROBABILITY, always), kind=Kind.LIST_VIEWED),
        views(np.repeat(everyone, view_counts)),
        views(np.repeat(intent, INTENT_VIEWS)),
        _Steps(session=intent, kind=Kind.ORDER_VIEWED),
        _Steps(session=intent, kind=Kind.DELIVERY_VIEWED),
        _Steps(session=line_session[line_seen], kind=Kind.VIEWED, product=orders.product[line[line_seen]]),
        _Steps(session=line_session, kind=Kind.ADDED, line=line, product=orders.product[line]),
        _Steps(session=added, kind=Kind.ADDED, product=product),
        _Steps(session=added[removed], kind=Kind.REMOVED, product=product[removed]),
        _Steps(session=chosen(CART_PROBABILITY, has_cart), kind=Kind.CART_VIEWED),
        _Steps(session=chosen(np.where(has_order, 1.0, ABANDONED_CHECKOUT_PROBABILITY), has_cart), kind=Kind.CHECKOUT),
        _Steps(session=chosen(DELIVERY_PROBABILITY, has_order), kind=Kind.DELIVERY_VIEWED),
        _Steps(session=np.flatnonzero(has_order & (orders.coupon[sessions.order] != NONE)), kind=Kind.COUPON),
        _Steps(session=np.flatnonzero(has_order), kind=Kind.COMPLETED),
    ]


def _lines_of(orders: Orders, sessions: Sessions) -> tuple[Ints, Ints]:
    """Return the session and the line of every line ordered in a session."""
    session = np.flatnonzero(sessions.order != NONE)
    first, last = (np.searchsorted(orders.line_order, sessions.order[session], side=side) for side in ("left", "right"))
    counts = last - first
    return np.repeat(session, counts), np.repeat(first, counts) + numbers_within(counts)


def _is_first(session: Ints) -> Bools:
    return np.asarray(np.diff(session, prepend=NONE) != 0)


def _column(steps: list[_Steps], name: str) -> Ints:
    columns = [getattr(step, name) for step in steps]
    pairs = zip(columns, steps, strict=True)
    return np.concatenate([np.full(len(s.session), NONE) if column is None else column for column, s in pairs])


def _times(rng: np.random.Generator, sessions: Sessions, session: Ints) -> Ints:
    """Return the instants of the events: a session with an order ends at it, another starts at its own time."""
    gaps = np.exp(GAP_LOG_MEDIAN + GAP_LOG_SD * rng.standard_normal(len(session)))
    gaps = np.round(np.clip(gaps, *GAP_SECONDS) * (SECOND / MILLISECOND)).astype(np.int64) * MILLISECOND
    counts = np.bincount(session, minlength=len(sessions))
    last = np.cumsum(counts) - 1
    passed = np.cumsum(gaps)
    anchor = np.where(sessions.order != NONE, passed[last], passed[last - counts + 1])
    return np.asarray(sessions.at[session] + passed - anchor[session], dtype=np.int64)
