"""Events of the lake as live features take them: what the event log would have answered then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
from ibis import _
from pydantic_core import from_json

from facts.contracts import INSTANT
from facts.event_log import Event, HeldOrder
from facts.event_log.records import from_microseconds, orders_made, with_held
from facts.lake import Lake
from features.live import LIVE_EVENTS

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

_TIMES = ("occurred_at", "received_at")


def events_of(
    lake: Lake, customer_ids: Sequence[str], *, since: datetime, known_before: datetime
) -> Mapping[str, list[Event]]:
    """Return the events of some customers that occurred from an instant on and were received before another.

    Each customer's stand in the order in which they occurred; who has none is left out. Those that tell of an order say
    since when the lake has it.
    """
    asked = ibis.memtable({"customer_id": list(dict.fromkeys(customer_ids))}, schema={"customer_id": "string"})
    events: dict[str, list[Event]] = {}
    with lake.connect() as connection:
        rows = _that_matter(lake.table(connection, "events"), since=since)
        known = rows.filter(rows.received_at < ibis.literal(known_before, INSTANT)).semi_join(asked, "customer_id")
        told = list(_read(known.order_by("occurred_at", "message_id")))
        made = orders_made(told)
        held = _held_from(lake, connection, made.values()) if made else {}
    for event in told:
        events.setdefault(event.customer_id, []).append(with_held(event, made, held))
    return events


def events_since(lake: Lake, instant: datetime) -> Iterator[Event]:
    """Yield the events of all customers that a live feature looks at and that occurred at or after an instant."""
    with lake.connect() as connection:
        yield from _read(_that_matter(lake.table(connection, "events"), since=instant))


def held_orders(lake: Lake) -> Iterator[HeldOrder]:
    """Yield every order and return that the lake has, as its last version has it, in the order of their ids."""
    with lake.connect() as connection:
        orders = lake.table(connection, "orders").group_by("order_id")
        last = orders.agg(customer_id=_.customer_id.argmax(_.version), held_from=_.received_at.min())
        for batch in last.order_by("order_id").to_pyarrow().to_batches():
            told = (batch[name].to_pylist() for name in ("order_id", "customer_id"))
            for order_id, customer_id, held_from in zip(*told, _instants(batch["held_from"]), strict=True):
                yield HeldOrder(order_id=order_id, customer_id=customer_id, held_from=held_from)


def _held_from(lake: Lake, connection: Backend, order_ids: Iterable[str]) -> dict[str, datetime]:
    asked = ibis.memtable({"order_id": sorted(set(order_ids))}, schema={"order_id": "string"})
    orders = lake.table(connection, "orders").semi_join(asked, "order_id").group_by("order_id")
    found = orders.agg(held_from=_.received_at.min()).to_pyarrow()
    return dict(zip(found["order_id"].to_pylist(), _instants(found["held_from"]), strict=True))


def _that_matter(events: Table, *, since: datetime) -> Table:
    return events.filter(events.event.isin(LIVE_EVENTS) & (events.occurred_at >= ibis.literal(since, INSTANT)))


def _read(rows: Table) -> Iterator[Event]:
    for batch in rows.to_pyarrow().to_batches():
        times = {name: _instants(batch[name]) for name in _TIMES}
        properties = [from_json(text) for text in batch["properties"].to_pylist()]
        columns = batch.drop_columns([*_TIMES, "properties"]).to_pydict() | times | {"properties": properties}
        for values in zip(*columns.values(), strict=True):
            yield Event(**dict(zip(columns, values, strict=True)))


def _instants(times: pa.Array | pa.ChunkedArray) -> list[datetime]:
    # Arrow makes a datetime of a zoned timestamp several times more slowly than of a number.
    return [from_microseconds(count) for count in times.cast("int64").to_pylist()]
