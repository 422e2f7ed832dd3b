"""One chunk of customers, whole: who they are, what they do, and when the shop hears of it.

Each layer draws from a stream of its own, so that a change in one leaves the others' draws as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.baskets import draw_amounts, draw_baskets
from simulation.campaigns import Contacts, Pace, draw_contacts
from simulation.catalogue import Catalogue
from simulation.clock import DAY, MILLISECOND, Clocks, Floats, Ints, Record, Zone
from simulation.customers import Customers, draw_customers
from simulation.delivery import Known, Received, deliver, known_orders
from simulation.events import Events, Kind
from simulation.orders import CANCELLED, RETURN, Orders, Sales, make_orders
from simulation.purchases import Effects, Purchases, draw_purchases, effects_of
from simulation.sessions import Sessions, checkout_sessions, session_events, visit_sessions
from simulation.settings import CHUNK_CUSTOMERS, TIMEZONE, Settings

CATALOGUE_KEY, CHUNK_KEY = 0, 1
LAYERS = ("customers", "contacts", "purchases", "amounts", "baskets", "orders", "sessions", "steps", "support", "mail")
SUPPORT_DAYS = (0.2, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the whole shop shares."""

    seed: int
    clocks: Clocks  # of the customers
    shop_zone: Zone
    catalogue: Catalogue
    settings: Settings

    @classmethod
    def of(cls, *, seed: int, days: int, settings: Settings) -> World:
        """Return the world of a seed whose record has so many days."""
        record = Record.of_days(days)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(CATALOGUE_KEY,)))
        names = [name for name, _share in settings.timezones]
        return cls(
            seed=seed,
            clocks=Clocks.read(names, record, settings.future_days),
            shop_zone=Zone.read(TIMEZONE, record, settings.future_days),
            catalogue=Catalogue.draw(rng),
            settings=settings,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """All that is true of a chunk, and all that was received of it; `purchase_at` and amounts go past the record."""

    first_customer: int
    customers: Customers
    contacts: Contacts
    contact_at: Ints
    purchases: Purchases
    purchase_at: Ints
    purchase_amount: Floats
    effects: Effects
    pace: Pace
    orders: Orders
    known: Known
    sessions: Sessions
    events: Events
    received: Received


def draw_behaviour(world: World, chunk: int) -> Behaviour:
    """Draw a chunk; the same seed, settings and record give the same chunk."""
    streams = np.random.SeedSequence(world.seed, spawn_key=(CHUNK_KEY, chunk)).spawn(len(LAYERS))
    rngs = {name: np.random.default_rng(stream) for name, stream in zip(LAYERS, streams, strict=True)}
    settings, clocks, record = world.settings, world.clocks, world.clocks.record
    customers = draw_customers(rngs["customers"], CHUNK_CUSTOMERS, record.days, settings)
    contacts = draw_contacts(rngs["contacts"], customers, record.days, settings)
    pace = Pace.of(customers, contacts)
    until = clocks.even_at(record.end)[customers.zone] + settings.future_days
    purchases = draw_purchases(rngs["purchases"], customers, pace, until)
    purchase_at = clocks.to_utc(purchases.even, customers.zone[purchases.customer])
    amounts = draw_amounts(rngs["amounts"], customers, purchases.customer, settings)
    orders = _orders(rngs, world, customers, contacts, purchases, purchase_at, amounts)
    led = checkout_sessions(rngs["sessions"], customers, orders, settings)
    visits = visit_sessions(rngs["sessions"], customers, contacts, purchases, orders, clocks, settings)
    sessions = Sessions.concat(led, visits)
    contact_at = _contact_at(contacts, customers, clocks)
    events = _events(rngs, world, customers, contacts, contact_at, orders, sessions)
    received = deliver(rngs["mail"], events, orders, settings)
    return Behaviour(
        first_customer=chunk * CHUNK_CUSTOMERS,
        customers=customers,
        contacts=contacts,
        contact_at=contact_at,
        purchases=purchases,
        purchase_at=purchase_at,
        purchase_amount=amounts,
        effects=effects_of(customers, contacts, purchases),
        pace=pace,
        orders=orders,
        known=known_orders(events, received, orders, record.end),
        sessions=sessions,
        events=events,
        received=received,
    )


def _contact_at(contacts: Contacts, customers: Customers, clocks: Clocks) -> Ints:
    """Return when each customer gets, or would get, each campaign."""
    flat = clocks.to_utc(contacts.at.ravel(), np.repeat(customers.zone, contacts.campaign_count))
    return flat.reshape(contacts.at.shape)


def _orders(
    rngs: dict[str, np.random.Generator],
    world: World,
    customers: Customers,
    contacts: Contacts,
    purchases: Purchases,
    purchase_at: Ints,
    amounts: Floats,
) -> Orders:
    past = np.flatnonzero(purchase_at < world.clocks.record.end)
    customer, even = purchases.customer[past], purchases.even[past]
    baskets = draw_baskets(rngs["baskets"], customers, (customer, even), amounts[past], world.catalogue, world.settings)
    sales = Sales(customer=customer, number=purchases.number[past], even=even, at=purchase_at[past])
    end = world.clocks.record.end
    return make_orders(rngs["orders"], customers, contacts, sales, baskets, end, world.settings)


def _events(
    rngs: dict[str, np.random.Generator],
    world: World,
    customers: Customers,
    contacts: Contacts,
    contact_at: Ints,
    orders: Orders,
    sessions: Sessions,
) -> Events:
    """Return every event in the record; of one instant the campaign comes first, then what the customer does."""
    parts = [
        _campaign_events(contacts, contact_at),
        session_events(rngs["steps"], customers, orders, sessions, world.settings),
        _after_orders(orders),
        _support_events(rngs["support"], orders, world.settings),
    ]
    return Events.concat(parts).before(world.clocks.record.end)


def _campaign_events(contacts: Contacts, contact_at: Ints) -> Events:
    customer, campaign = np.nonzero(contacts.is_sent)
    return Events.of(customer=customer, at=contact_at[customer, campaign], kind=Kind.CAMPAIGN, campaign=campaign)


def _after_orders(orders: Orders) -> Events:
    """Return the cancellations and refunds."""
    cancelled, returned = (np.flatnonzero(orders.kind == kind) for kind in (CANCELLED, RETURN))
    order = np.concatenate([cancelled, returned])
    kind = np.repeat([int(Kind.CANCELLED), int(Kind.REFUNDED)], [len(cancelled), len(returned)])
    at = np.concatenate([orders.cancelled_at[cancelled], orders.at[returned]])
    return Events.of(customer=orders.customer[order], at=at, kind=kind, order=order)


def _support_events(rng: np.random.Generator, orders: Orders, settings: Settings) -> Events:
    """Draw contacts after some sales, and more often before a return."""
    is_returned = np.zeros(orders.sale_count, dtype=np.bool_)
    is_returned[orders.sale[orders.kind == RETURN]] = True
    probability = np.where(is_returned, settings.support_return_probability, settings.support_probability)
    sale = np.flatnonzero(rng.random(orders.sale_count) < probability)
    days = rng.uniform(*SUPPORT_DAYS, len(sale))
    delay = np.round(days * (DAY / MILLISECOND)).astype(np.int64) * MILLISECOND
    return Events.of(customer=orders.customer[sale], at=orders.at[sale] + delay, kind=Kind.SUPPORT, order=sale)
