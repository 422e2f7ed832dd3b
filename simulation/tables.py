"""A chunk as tables: what the shop receives, in the contracts' columns."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from facts.contracts import FACTS
from simulation.behaviour import Behaviour, World
from simulation.clock import Bools, Ints
from simulation.columns import instants, local_columns, money
from simulation.delivery import Known
from simulation.events import BROWSING, NAMES
from simulation.messages import Names, message_ids, properties
from simulation.orders import KINDS, RETURN

STORE = "online"


def fact_tables(
    world: World, drawn: Behaviour, names: Names, *, count: int, has_browsing: bool = True
) -> Mapping[str, pa.Table]:
    """Return what the shop received of a chunk's first customers by the end of its record, but for the products.

    A shop without browsing has no page and cart events; its other messages are the same.
    """
    orders, known = drawn.orders, drawn.known
    kept = known.is_known & (orders.customer < count)
    order = np.flatnonzero(kept)
    order = order[np.lexsort((orders.at[order], orders.customer[order]))]
    return {
        "customers": _customers(world, drawn, names, count),
        "orders": _orders(world, drawn, names, known, order),
        "order_lines": _order_lines(drawn, names, kept),
        "events": _events(world, drawn, names, count, has_browsing=has_browsing),
    }


def _customers(world: World, drawn: Behaviour, names: Names, count: int) -> pa.Table:
    zones = [json.dumps({"timezone": name}) for name, _share in world.settings.timezones]
    traits = pa.array(zones).take(pa.array(drawn.customers.zone[:count]))
    return _typed("customers", {"customer_id": names.customers[:count], "traits": traits})


def _orders(world: World, drawn: Behaviour, names: Names, known: Known, order: Ints) -> pa.Table:
    at = drawn.orders.at[order]
    columns = {
        "order_id": names.orders.take(pa.array(order)),
        "customer_id": names.customers.take(pa.array(drawn.orders.customer[order])),
        "kind": pa.array(KINDS).take(pa.array(known.kind[order])),
        "ordered_at": instants(at),
        "received_at": instants(known.received_at[order]),
        **local_columns(at, world.shop_zone),
        "store_id": pa.repeat(STORE, len(order)),
    }
    return _typed("orders", columns)


def _order_lines(drawn: Behaviour, names: Names, kept: Bools) -> pa.Table:
    orders = drawn.orders
    line = np.flatnonzero(kept[orders.line_order])
    order = orders.line_order[line]
    line = line[np.lexsort((orders.line_number[line], orders.at[order], orders.customer[order]))]
    order = orders.line_order[line]
    sign = np.where(orders.kind[order] == RETURN, -1, 1)
    columns = {
        "order_id": names.orders.take(pa.array(order)),
        "line_number": pa.array(orders.line_number[line].astype(np.int32)),
        "product_id": names.product_ids.take(pa.array(orders.product[line])),
        "unit_count": pa.array(sign * orders.unit_count[line]),
        "gross_amount": money(sign * orders.gross_cents[line]),
        "discount_amount": money(sign * orders.discount_cents[line]),
        "net_amount": money(sign * orders.net_cents[line]),
        "coupon_amount": money(sign * orders.coupon_cents[line]),
    }
    return _typed("order_lines", columns)


def _events(world: World, drawn: Behaviour, names: Names, count: int, *, has_browsing: bool) -> pa.Table:
    """Return every delivery of every message: those delivered twice stand twice."""
    events, received = drawn.events, drawn.received
    is_kept = (events.customer < count) & (has_browsing | ~np.isin(events.kind, BROWSING))
    first = np.flatnonzero(is_kept)
    again = first[received.again_at[first] >= 0]
    row, at = np.concatenate([first, again]), np.concatenate([received.at[first], received.again_at[again]])
    row, at = row[at < world.clocks.record.end], at[at < world.clocks.record.end]
    place = np.lexsort((at, row))
    row, at = row[place], at[place]
    told = events.of_rows(row)
    columns = {
        "message_id": message_ids(events, names, len(drawn.customers)).take(pa.array(row)),
        "customer_id": names.customers.take(pa.array(told.customer)),
        "event": pa.array(NAMES).take(pa.array(told.kind)),
        "occurred_at": instants(told.at),
        "received_at": instants(at),
        "properties": properties(told, names),
    }
    return _typed("events", columns)


def _typed(name: str, columns: Mapping[str, object]) -> pa.Table:
    return pa.table(columns).cast(FACTS[name].schema.to_pyarrow())
