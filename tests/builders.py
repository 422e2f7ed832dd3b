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

from facts.contracts import FACTS, KINDS
from facts.ingest.delivery import Delivery
from facts.lake import Shop
from facts.merge import LAKE_COLUMNS

DAY = timedelta(days=1)
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
MOMENT = timedelta(microseconds=1)
CAMPAIGN, REDEMPTION = "Campaign Received", "Coupon Applied"


def at(day: float, hour: float = 0) -> datetime:
    """Return the instant so many days and hours after the builders' epoch, Monday 2024-01-01 00:00 UTC."""
    return EPOCH + timedelta(days=day, hours=hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    product: str | None = "milk"
    net: str = "1.00"
    discount: str = "0"
    coupon: str = "0"
    units: int | None = 1

    @property
    def sent_back(self) -> Line:
        """Return the line of a return: less than nothing of everything."""
        net, discount, coupon = (str(-Decimal(amount)) for amount in (self.net, self.discount, self.coupon))
        return replace(self, net=net, discount=discount, coupon=coupon, units=-self.units if self.units else self.units)

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
    kind: str = "sale"
    lines: tuple[Line, ...] = (Line(),)
    id: str = ""  # numbered as they come, where it is not said
    is_timed: bool = True  # else the source knows the day only
    superseded_at: datetime | None = (
        None  # when it was known no longer: at the receipt of its next version, if not said
    )
    corrected: tuple[Order, ...] = ()  # its later versions, in the order of their receipt

    @property
    def versions(self) -> tuple[Order, ...]:
        """Return what was told of the order, one after the other, with the times of receipt and correction."""
        told = (replace(self, corrected=()), *self.corrected)
        received = [version.received_at or version.at for version in told]
        return tuple(
            replace(version, received_at=known_from, superseded_at=version.superseded_at or end)
            for version, known_from, end in zip(told, received, [*received[1:], None], strict=True)
        )

    def then(self, *versions: Order) -> Order:
        """Return the order with later versions of it."""
        return replace(self, corrected=(*self.corrected, *versions))

    def row(self, order_id: str, zone: ZoneInfo) -> dict[str, Any]:
        local = self.at.astimezone(zone)
        return {
            "order_id": order_id,
            "customer_id": self.customer,
            "kind": self.kind,
            "ordered_at": self.at,
            "received_at": self.received_at or self.at,
            "local_on": local.date(),
            "local_weekday": local.weekday(),
            "local_hour": local.hour if self.is_timed else None,
            "store_id": "1",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    customer: str = "ann"
    event: str = CAMPAIGN
    at: datetime = EPOCH
    received_at: datetime | None = None
    properties: str = "{}"

    def row(self, message_id: str) -> dict[str, Any]:
        return {
            "message_id": message_id,
            "customer_id": self.customer,
            "event": self.event,
            "occurred_at": self.at,
            "received_at": self.received_at or self.at,
            "properties": self.properties,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    id: str
    category: str | None = None
    department: str | None = None
    brand: str | None = None
    own: bool | None = False
    received_at: datetime | None = None  # always known, where it is not said; the next version of one that was told

    def row(self) -> dict[str, Any]:
        return {
            "product_id": self.id,
            "name": self.id,
            "category": self.category,
            "department": self.department,
            "brand": self.brand,
            "is_private_label": self.own,
            "size": "",
            "received_at": self.received_at or EPOCH - DAY,
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
    """Return the rows of every contract's table; orders and events are numbered as they come.

    Those of an order that was corrected also say which version they are of and when it was superseded, as in the lake.
    """
    zone = ZoneInfo(timezone)
    told = [(order.id or f"o{i}", *version) for i, order in enumerate(orders) for version in _numbered(order)]
    customers = sorted({order.customer for _id, _said, order in told} | {event.customer for event in events})
    return {
        "customers": [{"customer_id": customer, "traits": "{}"} for customer in customers],
        "products": [product.row() for product in products],
        "orders": [
            order.row(name, zone) | said | ({"superseded_at": order.superseded_at} if said else {})
            for name, said, order in told
        ],
        "order_lines": [
            line.row(name, number) | said for name, said, order in told for number, line in enumerate(order.lines, 1)
        ],
        "events": [event.row(f"m{i}") for i, event in enumerate(events)],
    }


def _numbered(order: Order) -> list[tuple[dict[str, int], Order]]:
    if order.superseded_at is None and not order.corrected:
        return [({}, order)]
    return [({"version": number}, version) for number, version in enumerate(order.versions)]


def arrow_of(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """Return rows as Arrow tables in the contracts' schemas, as a source delivers them."""
    return {name: pa.Table.from_pylist(list(rows[name]), schema=FACTS[name].schema.to_pyarrow()) for name in rows}


def known_arrow_of(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """Return rows as Arrow tables in the lake's schemas; what is not said to be a later version is the first.

    A line carries the version of its product that was known when it was received; none where there was none yet.
    """
    told = {name: [{"version": 0} | dict(row) for row in rows[name]] for name in rows}
    told["products"] = _product_versions(told["products"])
    received = {(row["order_id"], row["version"]): row["received_at"] for row in told["orders"]}
    for line in told["order_lines"]:
        line["product_version"] = _known_version(told["products"], line, received)
    schemas = {name: ibis.schema(dict(LAKE_COLUMNS[name])).to_pyarrow() for name in rows}
    return {name: pa.Table.from_pylist(told[name], schema=schema) for name, schema in schemas.items()}


def _product_versions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row["received_at"], str(row))):
        told.append({**row, "version": sum(row["product_id"] == other["product_id"] for other in told)})
    return told


def _known_version(
    products: Sequence[Mapping[str, Any]], line: Mapping[str, Any], received: Mapping[tuple[str, int], datetime]
) -> int | None:
    """Return the version of a line's product that was known when the line was received; a lost line knows none."""
    at_receipt = received.get((line["order_id"], line["version"]), EPOCH - DAY)
    known = [p for p in products if p["product_id"] == line["product_id"] and p["received_at"] <= at_receipt]
    return max((product["version"] for product in known), default=None)


def tables_of(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, ibis.Table]:
    """Return rows as Ibis tables in the contracts' schemas, as a source delivers them."""
    return {name: ibis.memtable(table) for name, table in arrow_of(rows).items()}


def known_tables(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, ibis.Table]:
    """Return rows as Ibis tables in the lake's schemas."""
    return {name: ibis.memtable(table) for name, table in known_arrow_of(rows).items()}


def shop(
    orders: Sequence[Order] = (),
    events: Sequence[Event] = (),
    products: Sequence[Product] = PRODUCTS,
    *,
    timezone: str = "UTC",
) -> dict[str, ibis.Table]:
    """Return a small shop as the lake knows it: Ibis tables, one for every contract."""
    return known_tables(rows_of(orders, events, products, timezone=timezone))


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
    """Facts in the order in which they happened to be drawn; `retold` are products that were told anew."""

    orders: tuple[Order, ...] = ()
    events: tuple[Event, ...] = ()
    retold: tuple[Product, ...] = ()

    def __add__(self, other: History) -> History:
        return History(self.orders + other.orders, self.events + other.events, self.retold + other.retold)

    def received_from(self, cutoff: datetime) -> History:
        """Return the same facts, learned of no earlier than the cutoff: some happen before it all the same."""
        orders = tuple(_told_later(order, cutoff - (order.received_at or order.at)) for order in self.orders)
        events = tuple(replace(e, received_at=max(cutoff, e.received_at or e.at)) for e in self.events)
        retold = tuple(replace(p, received_at=max(cutoff, p.received_at or cutoff)) for p in self.retold)
        return History(orders, events, retold)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        return rows_of(self.orders, self.events, (*PRODUCTS, *self.retold))


def _told_later(order: Order, delay: timedelta) -> Order:
    """Return an order of which every version was received, and superseded, so much later."""
    if delay < timedelta(0):
        return order
    first, *others = [
        replace(v, received_at=v.received_at + delay, superseded_at=v.superseded_at and v.superseded_at + delay)
        for v in order.versions
    ]
    return first.then(*others)


# Few customers, days and prices, so that facts meet: on a day, at the very edge of a window, at one instant. The days
# of the second line are edges of windows of the laws' cutoffs (noon of days 30, 47 and 63).
_INSTANTS = st.one_of(
    st.builds(at, st.integers(0, 63), st.sampled_from([0, 9, 18.5])),
    st.builds(at, st.sampled_from([0, 16, 17, 23, 33, 40, 49, 56]), st.sampled_from([11, 12, 13])),
    st.datetimes(EPOCH.replace(tzinfo=None), at(60).replace(tzinfo=None), timezones=st.just(UTC)),
)
_DELAYS = st.one_of(st.none(), st.sampled_from([timedelta(0), MOMENT, DAY / 3, 3 * DAY, 40 * DAY]))
_PAUSES = (timedelta(0), MOMENT, DAY / 3, 3 * DAY, 20 * DAY)
_MOSTLY = st.sampled_from([True, True, True, False])
_CUSTOMERS = st.sampled_from(["ann", "bob", "9"])
_PRICES = st.sampled_from(["0", "0.01", "1.10", "3.33", "19.99", "250"])
_RETOLD = st.builds(
    Product,
    id=st.sampled_from(["milk", "cheese", "misc", "unlisted"]),
    category=st.sampled_from(["dairy", "bakery", "gifts", None]),
    department=st.sampled_from(["grocery", "gifts", None]),
    brand=st.sampled_from(["farm", "alp", None]),
    own=st.sampled_from([True, False, None]),
    received_at=_INSTANTS,
)
_LINES = st.builds(
    Line,
    product=st.sampled_from(["milk", "cheese", "bread", "soap", "misc", "unlisted", None]),
    net=st.sampled_from(["0", "0.01", "1.10", "3.33", "19.99", "-3.33", "250"]),
    discount=_PRICES,
    coupon=st.sampled_from(["0", "0", "0.55"]),
    units=st.one_of(st.none(), st.integers(0, 3)),
)


@st.composite
def _times(draw: st.DrawFn) -> dict[str, datetime | None]:
    happened_at, delay = draw(_INSTANTS), draw(_DELAYS)
    return {"at": happened_at, "received_at": None if delay is None else happened_at + delay}


@st.composite
def _orders(draw: st.DrawFn, kinds: Sequence[str] = ("sale",)) -> Order:
    kind, lines = draw(st.sampled_from(kinds)), draw(st.lists(_LINES, max_size=5))
    told = tuple(line.sent_back if kind == "return" else line for line in lines)
    return Order(customer=draw(_CUSTOMERS), kind=kind, lines=told, is_timed=draw(_MOSTLY), **draw(_times()))


@st.composite
def _corrected_orders(draw: st.DrawFn, kinds: Sequence[str], most_corrections: int) -> Order:
    order = draw(_orders(kinds))
    for _correction in range(draw(st.integers(0, most_corrections))):
        order = draw(_corrections(order, kinds))
    return order


@st.composite
def _corrections(draw: st.DrawFn, order: Order, kinds: Sequence[str], no_earlier: datetime = EPOCH) -> Order:
    """Return an order once more corrected, or ended; what ended may come back."""
    *before, last = order.versions
    from_then_on = max(no_earlier, last.superseded_at or last.received_at + MOMENT) + draw(st.sampled_from(_PAUSES))
    if last.superseded_at is None and draw(st.booleans()):
        first, *others = (*before, replace(last, superseded_at=from_then_on))
        return first.then(*others)
    told = draw(_orders(kinds))
    told = replace(told, customer=draw(st.sampled_from([last.customer, last.customer, told.customer])))
    told = replace(told, at=draw(st.sampled_from([last.at, last.at, told.at])))
    return order.then(replace(told, received_at=max(told.at, from_then_on)))


@st.composite
def _events(draw: st.DrawFn) -> Event:
    return Event(
        customer=draw(_CUSTOMERS), event=draw(st.sampled_from([CAMPAIGN, REDEMPTION, "Other"])), **draw(_times())
    )


def histories(
    *, min_orders: int = 0, max_orders: int = 14, kinds: Sequence[str] = ("sale",), most_corrections: int = 0
) -> st.SearchStrategy[History]:
    """Random facts of up to three customers over two months, received when they happen or up to forty days later.

    Now and then a product is told anew: of another category, department or brand, or for the first time.
    """
    orders = st.lists(_corrected_orders(kinds, most_corrections), min_size=min_orders, max_size=max_orders)
    retold = st.lists(_RETOLD, max_size=4).map(tuple)
    return st.builds(History, orders.map(tuple), st.lists(_events(), max_size=6).map(tuple), retold)


def full_histories(*, min_orders: int = 0, max_orders: int = 14) -> st.SearchStrategy[History]:
    """Random facts with returns, cancellations and corrections."""
    return histories(min_orders=min_orders, max_orders=max_orders, kinds=KINDS, most_corrections=2)


def corrected_from(history: History, cutoff: datetime) -> st.SearchStrategy[History]:
    """The same facts, some of whose orders are corrected no earlier than the cutoff."""
    orders = [st.just(order) | _corrections(order, KINDS, no_earlier=cutoff) for order in history.orders]
    return st.tuples(*orders).map(lambda orders: replace(history, orders=orders))


def echoes_of(history: History) -> st.SearchStrategy[History]:
    """Orders of the same customers within two hours of orders of a history: most fall on the same visit-day."""
    if not history.orders:
        return st.just(History())
    hours = st.sampled_from([-2, -1, 0, 1])
    echo = st.builds(
        # An order of its own: corrections of the one that it echoes are not its own.
        lambda order, shift: replace(order, at=order.at + shift * DAY / 24, corrected=()),
        st.sampled_from(history.orders),
        hours,
    )
    return st.lists(echo, max_size=4).map(lambda orders: History(tuple(orders)))
