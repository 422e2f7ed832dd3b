"""Deliveries of a small shop: orders by name, in the order in which a source might send them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq

from facts.ingest.delivery import Delivery
from facts.lake import Lake
from tests.builders import PRODUCTS, Event, Product, at, delivery

FIRST_DAY, LAST_DAY = at(1), at(400)
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a source says of an order: one line an amount, negative ones where it is a return."""

    id: str
    customer: str = "ann"
    at: datetime = FIRST_DAY
    received_at: datetime | None = None  # where the source does not say
    kind: str = "sale"
    nets: tuple[str, ...] = ("1.00",)
    product: str | None = "milk"

    @property
    def head(self) -> dict[str, Any]:
        return {
            "order_id": self.id,
            "customer_id": self.customer,
            "kind": self.kind,
            "ordered_at": self.at,
            "received_at": self.received_at,
            "local_on": self.at.date(),
            "local_weekday": self.at.weekday(),
            "local_hour": self.at.hour,
            "store_id": "1",
        }

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [
            {
                "order_id": self.id,
                "line_number": number,
                "product_id": self.product,
                "unit_count": None,
                "gross_amount": Decimal(net),
                "discount_amount": Decimal(0),
                "net_amount": Decimal(net),
                "coupon_amount": Decimal(0),
            }
            for number, net in enumerate(self.nets, 1)
        ]

    @property
    def content(self) -> Told:
        """What it says, but for when it was received; lines say the same in any order."""
        nets = tuple(sorted(self.nets))
        return replace(self, received_at=None, nets=nets, product=self.product if self.nets else None)


def rows_told(
    orders: Iterable[Told] = (), events: Mapping[str, Event] | None = None, products: Sequence[Product] = PRODUCTS
) -> Rows:
    """Return orders, and events by their message id, as rows of every contract's table."""
    orders, events = list(orders), events or {}
    customers = sorted({order.customer for order in orders} | {event.customer for event in events.values()})
    return {
        "customers": [{"customer_id": customer, "traits": "{}"} for customer in customers],
        "products": [product.row() for product in products],
        "orders": [order.head for order in orders],
        "order_lines": [line for order in orders for line in order.lines],
        "events": [event.row(message_id) | {"received_at": event.received_at} for message_id, event in events.items()],
    }


def told(
    orders: Iterable[Told] = (),
    events: Mapping[str, Event] | None = None,
    products: Sequence[Product] = PRODUCTS,
    *,
    until: datetime = LAST_DAY,
) -> Delivery:
    """Return orders and events as a source delivers them, of a shop that was observed until an instant."""
    return seen_until(until, delivery(rows_told(orders, events, products)))


def seen_until(until: datetime, made: Delivery) -> Delivery:
    """Return a delivery of a shop that was observed until an instant."""
    return replace(made, shop=replace(made.shop, observed_until=until))


def rows_in(lake: Lake, name: str) -> list[dict[str, Any]]:
    """Return the rows of one of the lake's tables, as they lie on the disk."""
    found: list[dict[str, Any]] = pq.read_table(lake.folder / lake.stored(name).file).to_pylist()
    return found


def versions_in(lake: Lake, order_id: str) -> list[tuple[int, datetime, datetime | None]]:
    """Return every version of an order: its number, from when it is known, and until when."""
    rows = [row for row in rows_in(lake, "orders") if row["order_id"] == order_id]
    return [(row["version"], row["received_at"], row["superseded_at"]) for row in rows]


def touched_by(lake: Lake, commit: int) -> dict[str, datetime]:
    """Return of whom a commit said something new, and from when it is known; each stands once."""
    rows = [row for row in rows_in(lake, "touched") if row["commit"] == commit]
    assert len({row["customer_id"] for row in rows}) == len(rows)
    return {row["customer_id"]: row["known_from"] for row in rows}


def bytes_in(lake: Lake) -> dict[str, bytes]:
    """Return every file of the lake with its content."""
    return {path.name: path.read_bytes() for path in sorted(lake.folder.iterdir()) if path.is_file()}
