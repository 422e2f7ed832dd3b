"""From the event log into the lake: every event a row of `events`, orders and customers of those that tell of them.

The lake first, then the mark in the log. A drain that is stopped leaves events marked as waiting that are in the lake
already; the next one leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
from ibis import _
from pydantic_core import from_json

from facts.contracts import FACTS, ONE_CUSTOMER, SOURCE_LINE, UNREADABLE, UNREADABLE_RULE
from facts.ecommerce import IDENTIFY, ORDER_CANCELLED, ORDER_REFUNDED
from facts.event_lines import Line
from facts.event_log.records import Event, EventLog, json_text
from facts.event_orders import (
    Known,
    Order,
    is_anothers,
    order_id_of,
    order_that_is_anothers,
    orders_of,
    rounds_of,
)
from facts.ingest import ingest
from facts.ingest.delivery import Delivery
from facts.lake import Lake, Shop
from facts.order_names import RETURN
from facts.products import latest_products

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

BATCH_EVENTS = 50_000
_OF_PRODUCT = ("name", "category", "brand")
_ORDERS_WITH_ASIDE = pa.schema(
    [
        *FACTS["orders"].schema.to_pyarrow(),
        *((name, pa.string()) for name in (SOURCE_LINE, UNREADABLE, UNREADABLE_RULE)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What a drain brought into the lake: events, orders that were new and those that were corrected.

    `set_aside` counts the events about another customer's order, which change nothing of it.
    """

    events: int
    new_orders: int
    corrected_orders: int
    set_aside: int = 0


def drain(log: EventLog, lake: Lake, at: datetime, *, batch_events: int = BATCH_EVENTS) -> Drained:
    """Bring all that waits in the log into the lake.

    Stopped anywhere, it loses nothing and doubles nothing. Rows that break a contract are set aside and hold up no
    others.

    Parameters
    ----------
    at
        When it reaches the lake; what was received is known from when the log received it.
    batch_events
        How many events are committed at a time, at most.

    Raises
    ------
    NotYet
        The lake holds no shop: the first record comes by file.
    EventLogFailed
        The log does not answer.
    """
    shop, drained = _observed_to(lake.shop(), at), Drained(events=0, new_orders=0, corrected_orders=0)
    while waiting := log.undrained(batch_events):
        for events in rounds_of(_not_in(lake, [each.event for each in waiting])):
            done = ingest(_delivery(events, lake, shop), lake, mode="append", at=at, limit=1.0)
            drained = Drained(
                events=drained.events + len(events),
                new_orders=drained.new_orders + done.orders.get("new", 0),
                corrected_orders=drained.corrected_orders + done.orders.get("corrected", 0),
                set_aside=drained.set_aside + done.breaches.get(("orders", ONE_CUSTOMER, "quarantine"), 0),
            )
        log.mark_drained(waiting[-1].position)
    return drained


def _observed_to(shop: Shop, at: datetime) -> Shop:
    """Return the shop with all that its log knows observed; a recorded shop's record ends where it ended."""
    return replace(shop, observed_until=max(shop.observed_until, at)) if shop.clock == "wall" else shop


def _not_in(lake: Lake, events: Sequence[Event]) -> list[Event]:
    with lake.connect() as connection:
        told = ibis.memtable({"message_id": [event.message_id for event in events]})
        rows = lake.table(connection, "events").semi_join(told, "message_id").select("message_id").to_pyarrow()
    known = set(rows["message_id"].to_pylist())
    return [event for event in events if event.message_id not in known]


def _delivery(events: Sequence[Event], lake: Lake, shop: Shop) -> Delivery:
    """Return events as a source delivers its tables: with the customers and products that they name."""
    with lake.connect() as connection:
        known = _known(connection, lake, {order_id for event in events if (order_id := order_id_of(event))})
        zone = ZoneInfo(shop.timezone)
        orders = orders_of(events, known, zone=zone)
        aside = [_row_aside(event, zone) for event in events if is_anothers(event, known)]
        customer_ids = {event.customer_id for event in events} | {order.customer_id for order in orders}
        product_ids = {line.product_id for order in orders for line in order.lines if line.product_id is not None}
        customers = _rows_of(lake.table(connection, "customers"), "customer_id", customer_ids)
        products = _rows_of(latest_products(lake.table(connection, "products")), "product_id", product_ids)
    rows: Mapping[str, list[dict[str, Any]]] = {
        "customers": _customers(customer_ids, customers, events),
        "products": _products(product_ids, products, events),
        "orders": [_order_row(order) for order in orders],
        "order_lines": [_line_row(order, n, line) for order in orders for n, line in enumerate(order.lines, 1)],
        "events": [_event_row(event) for event in events],
    }
    tables = {name: pa.Table.from_pylist(rows[name], schema=FACTS[name].schema.to_pyarrow()) for name in FACTS}
    if aside:
        tables["orders"] = pa.Table.from_pylist([*rows["orders"], *aside], schema=_ORDERS_WITH_ASIDE)
    return Delivery(shop=shop, tables={name: ibis.memtable(table) for name, table in tables.items()})


def _row_aside(event: Event, zone: ZoneInfo) -> dict[str, Any]:
    """Return the row of an order that is another customer's, as ingest sets it aside."""
    order_id = order_id_of(event)
    reason = f"{event.event} of {event.customer_id} about order {order_id}, which is another customer's"
    told = {SOURCE_LINE: f"event {event.message_id}", UNREADABLE: reason, UNREADABLE_RULE: ONE_CUSTOMER}
    return _order_row(order_that_is_anothers(event, zone=zone)) | told


def _known(connection: Backend, lake: Lake, order_ids: set[str]) -> Known:
    if not order_ids:
        return Known(orders={}, earlier={})
    asked = ibis.memtable({"asked_id": sorted(order_ids)})
    orders = lake.table(connection, "orders").filter(_.superseded_at.isnull())
    orders = orders.mutate(of_order=_.order_id.split(RETURN)[0])  # an order's returns change with it
    asked_for = orders.order_id.isin(asked.asked_id) | orders.of_order.isin(asked.asked_id)
    current = connection.create_table("asked_orders", orders.filter(asked_for).drop("of_order"), temp=True)
    lines = lake.table(connection, "order_lines").semi_join(current, ["order_id", "version"])
    told = lines.order_by("order_id", "line_number").to_pyarrow().to_pylist()
    of_line: dict[str, list[Line]] = {}
    for row in told:
        of_line.setdefault(row["order_id"], []).append(_line_of(row))
    found = [_order_of(row, of_line.get(row["order_id"], [])) for row in current.to_pyarrow().to_pylist()]
    return Known(orders={order.order_id: order for order in found}, earlier=_earlier(connection, lake, asked))


def _earlier(connection: Backend, lake: Lake, asked: Table) -> dict[str, list[Event]]:
    """Return the refunds and cancellations of some orders that are in the lake, in the order of receipt."""
    events = lake.table(connection, "events").filter(_.event.isin((ORDER_REFUNDED, ORDER_CANCELLED)))
    # Events that came by file may hold anything; what is no JSON object names no order.
    told = events.mutate(told=_.properties.try_cast("json")["order_id"])
    told = told.mutate(order_id=ibis.coalesce(_.told.str, _.told.int.cast("string"))).drop("told")
    rows = told.semi_join(asked, told.order_id == asked.asked_id).order_by("received_at", "message_id")
    earlier: dict[str, list[Event]] = {}
    for row in rows.to_pyarrow().to_pylist():
        order_id = row.pop("order_id")
        earlier.setdefault(order_id, []).append(Event(**row | {"properties": from_json(row["properties"])}))
    return earlier


def _rows_of(table: Table, key: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    asked = ibis.memtable({key: sorted(ids)}, schema={key: "string"})
    rows = table.semi_join(asked, key).to_pyarrow().to_pylist()
    return {row[key]: row for row in rows}


def _customers(
    customer_ids: set[str], known: Mapping[str, Mapping[str, Any]], events: Iterable[Event]
) -> list[dict[str, Any]]:
    """Return the customers with the traits that are known, and those that identify messages tell over them."""
    traits: dict[str, dict[str, Any]] = {customer_id: {} for customer_id in customer_ids}
    for event in sorted(events, key=lambda event: (event.occurred_at, event.message_id)):
        if event.event == IDENTIFY:
            traits[event.customer_id].update(event.properties)
    before = {customer_id: row["traits"] or "{}" for customer_id, row in known.items()}
    return [
        {"customer_id": customer_id, "traits": _with_traits(before.get(customer_id, "{}"), told)}
        for customer_id, told in sorted(traits.items())
    ]


def _with_traits(before: str, told: Mapping[str, Any]) -> str:
    if not told:
        return before
    try:
        kept = from_json(before)
    except ValueError:
        kept = {}
    return json_text({**(kept if isinstance(kept, dict) else {}), **told})


def _products(
    product_ids: set[str], known: Mapping[str, Mapping[str, Any]], events: Iterable[Event]
) -> list[dict[str, Any]]:
    """Return the products as they are known, and those that are not as the events tell of them."""
    told: dict[str, Mapping[str, Any]] = {}
    for event in events:
        listed = event.properties.get("products")
        for product in listed if isinstance(listed, list) else []:
            if isinstance(product, Mapping):
                told[str(product.get("product_id"))] = product
    return [
        dict(known[product_id]) if product_id in known else _new_product(product_id, told.get(product_id, {}))
        for product_id in sorted(product_ids)
    ]


def _new_product(product_id: str, told: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: told[name] for name in _OF_PRODUCT if isinstance(told.get(name), str)}
    return dict.fromkeys(FACTS["products"].columns) | said | {"product_id": product_id}


def _event_row(event: Event) -> dict[str, Any]:
    return {
        "message_id": event.message_id,
        "customer_id": event.customer_id,
        "event": event.event,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "properties": json_text(event.properties),
    }


def _order_row(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in FACTS["orders"].columns}


def _line_row(order: Order, number: int, line: Line) -> dict[str, Any]:
    return {"order_id": order.order_id, "line_number": number} | {
        name: getattr(line, name) for name in FACTS["order_lines"].columns if name not in {"order_id", "line_number"}
    }


def _order_of(row: Mapping[str, Any], lines: Iterable[Line]) -> Order:
    told = {name: row[name] for name in FACTS["orders"].columns}
    return Order(**told, lines=tuple(lines))


def _line_of(row: Mapping[str, Any]) -> Line:
    names = ("product_id", "unit_count", "gross_amount", "discount_amount", "coupon_amount")
    return Line(**{name: row[name] for name in names})
