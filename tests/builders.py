"""Small shops: facts that a person can check by hand, and random ones with two times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
from hypothesis import strategies as st

from facts.contracts import FACTS
from facts.ingest.delivery import Delivery
from facts.lake import Shop

DAY = timedelta(days=1)
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
CAMPAIGN, REDEMPTION = "Campaign Received", "Coupon Applied"


def at(day: float, hour: float = 0) -> datetime:
    """Return the instant so many days and hours after the builders' epoch, Monday 2024-01-01 00:00 UTC."""
    return EPOCH + timedelta(days=day, hours=hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    product: str = "milk"
    net: str = "1.00"
    discount: str = "0"
    coupon: str = "0"
    units: int = 1

    def row(self, order_id: str, number: int) -> dict[str, Any]:
        net, discount = Decimal(self.net), Decimal(self.discount)
        return {
            "order_id": order_id,
            "line_number": number,
            "product_id": self.product,
            "unit_count": self.units,
            "gross_amount": net + discount,
            "discount_amount": discount,
            "net_amount": net,
            "coupon_amount": Decimal(self.coupon),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    customer: str = "ann"
    at: datetime = EPOCH
    received_at: datetime | None = None  # when it happened, where it is not said
    lines: tuple[Line, ...] = (Line(),)

    def row(self, order_id: str, zone: ZoneInfo) -> dict[str, Any]:
        local = self.at.astimezone(zone)
        return {
            "order_id": order_id,
            "customer_id": self.customer,
            "ordered_at": self.at,
            "received_at": self.received_at or self.at,
            "local_on": local.date(),
            "local_weekday": local.weekday(),
            "local_hour": local.hour,
            "store_id": "1",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    customer: str = "ann"
    event: str = CAMPAIGN
    at: datetime = EPOCH
    received_at: datetime | None = None

    def row(self, message_id: str) -> dict[str, Any]:
        return {
            "message_id": message_id,
            "customer_id": self.customer,
            "event": self.event,
            "occurred_at": self.at,
            "received_at": self.received_at or self.at,
            "properties": "{}",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    id: str
    category: str | None = None
    department: str | None = None
    brand: str | None = None
    own: bool | None = False

    def row(self) -> dict[str, Any]:
        return {
            "product_id": self.id,
            "name": self.id,
            "category": self.category,
            "department": self.department,
            "brand": self.brand,
            "is_private_label": self.own,
            "size": "",
        }


PRODUCTS = (
    Product(id="milk", category="dairy", department="grocery", brand="farm", own=True),
    Product(id="cheese", category="dairy", department="grocery", brand="alp"),
    Product(id="bread", category="bakery", department="grocery", brand="farm"),
    Product(id="soap", category="care", department="drugstore", brand="alp"),
    Product(id="misc", own=None),
)


def rows_of(
    orders: Sequence[Order] = (),
    events: Sequence[Event] = (),
    products: Sequence[Product] = PRODUCTS,
    *,
    timezone: str = "UTC",
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every contract's table; orders and events are numbered as they come."""
    zone = ZoneInfo(timezone)
    customers = sorted({order.customer for order in orders} | {event.customer for event in events})
    return {
        "customers": [{"customer_id": customer, "traits": "{}"} for customer in customers],
        "products": [product.row() for product in products],
        "orders": [order.row(f"o{i}", zone) for i, order in enumerate(orders)],
        "order_lines": [
            line.row(f"o{i}", number) for i, order in enumerate(orders) for number, line in enumerate(order.lines, 1)
        ],
        "events": [event.row(f"m{i}") for i, event in enumerate(events)],
    }


def arrow_of(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """Return rows as Arrow tables in the contracts' schemas."""
    return {name: pa.Table.from_pylist(list(rows[name]), schema=FACTS[name].schema.to_pyarrow()) for name in rows}


def tables_of(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, ibis.Table]:
    """Return rows as Ibis tables in the contracts' schemas."""
    return {name: ibis.memtable(table) for name, table in arrow_of(rows).items()}


def shop(
    orders: Sequence[Order] = (),
    events: Sequence[Event] = (),
    products: Sequence[Product] = PRODUCTS,
    *,
    timezone: str = "UTC",
) -> dict[str, ibis.Table]:
    """Return a small shop as Ibis tables, one for every contract."""
    return tables_of(rows_of(orders, events, products, timezone=timezone))


def delivery(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Delivery:
    """Return rows as a source delivers them."""
    record = Shop(
        name="Corner shop",
        source="builders",
        currency="EUR",
        timezone="UTC",
        observed_from=EPOCH,
        observed_until=EPOCH + 400 * DAY,
        clock="standing",
    )
    return Delivery(shop=record, tables=tables_of(rows))


@dataclass(frozen=True, slots=True)
class History:
    """Facts in the order in which they happened to be drawn."""

    orders: tuple[Order, ...] = ()
    events: tuple[Event, ...] = ()

    def __add__(self, other: History) -> History:
        return History(self.orders + other.orders, self.events + other.events)

    def received_from(self, cutoff: datetime) -> History:
        """Return the same facts, learned of no earlier than the cutoff: some happen before it all the same."""
        late = [tuple(_not_known_before(fact, cutoff) for fact in facts) for facts in (self.orders, self.events)]
        return History(*late)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        return rows_of(self.orders, self.events)


def _not_known_before(fact: Order | Event, cutoff: datetime) -> Order | Event:
    return replace(fact, received_at=max(cutoff, fact.received_at or fact.at))


# Few customers, days and prices, so that facts meet: on a day, at the very edge of a window, at one instant. The days
# of the second line are edges of windows of the laws' cutoffs (noon of days 30, 47 and 63).
_INSTANTS = st.one_of(
    st.builds(at, st.integers(0, 63), st.sampled_from([0, 9, 18.5])),
    st.builds(at, st.sampled_from([0, 16, 17, 23, 33, 40, 49, 56]), st.sampled_from([11, 12, 13])),
    st.datetimes(EPOCH.replace(tzinfo=None), at(60).replace(tzinfo=None), timezones=st.just(UTC)),
)
_DELAYS = st.one_of(st.none(), st.sampled_from([timedelta(0), timedelta(microseconds=1), DAY / 3, 3 * DAY, 40 * DAY]))
_CUSTOMERS = st.sampled_from(["ann", "bob", "9"])
_PRICES = st.sampled_from(["0", "0.01", "1.10", "3.33", "19.99", "250"])
_LINES = st.builds(
    Line,
    product=st.sampled_from(["milk", "cheese", "bread", "soap", "misc", "unlisted"]),
    net=st.sampled_from(["0", "0.01", "1.10", "3.33", "19.99", "-3.33", "250"]),
    discount=_PRICES,
    coupon=st.sampled_from(["0", "0", "0.55"]),
    units=st.integers(0, 3),
)


@st.composite
def _times(draw: st.DrawFn) -> dict[str, datetime | None]:
    happened_at, delay = draw(_INSTANTS), draw(_DELAYS)
    return {"at": happened_at, "received_at": None if delay is None else happened_at + delay}


@st.composite
def _orders(draw: st.DrawFn) -> Order:
    lines = draw(st.lists(_LINES, max_size=5))
    return Order(customer=draw(_CUSTOMERS), lines=tuple(lines), **draw(_times()))


@st.composite
def _events(draw: st.DrawFn) -> Event:
    return Event(
        customer=draw(_CUSTOMERS), event=draw(st.sampled_from([CAMPAIGN, REDEMPTION, "Other"])), **draw(_times())
    )


def histories(*, min_orders: int = 0, max_orders: int = 14) -> st.SearchStrategy[History]:
    """Random facts of up to three customers over two months, received when they happen or up to forty days later."""
    orders = st.lists(_orders(), min_size=min_orders, max_size=max_orders).map(tuple)
    return st.builds(History, orders, st.lists(_events(), max_size=6).map(tuple))


def echoes_of(history: History) -> st.SearchStrategy[History]:
    """Orders of the same customers within two hours of orders of a history: most fall on the same visit-day."""
    if not history.orders:
        return st.just(History())
    hours = st.sampled_from([-2, -1, 0, 1])
    echo = st.builds(
        lambda order, shift: replace(order, at=order.at + shift * DAY / 24), st.sampled_from(history.orders), hours
    )
    return st.lists(echo, max_size=4).map(lambda orders: History(tuple(orders)))
