"""Events of the lake as live features take them: what the event log would have answered then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
from pydantic_core import from_json

from facts.contracts import INSTANT
from facts.event_log import Event
from facts.event_log.records import from_microseconds
from facts.lake import Lake
from features.live import LIVE_EVENTS

if TYPE_CHECKING:
    from ibis.expr.types import Table

_TIMES = ("occurred_at", "received_at")


def events_of(
    lake: Lake, customer_ids: Sequence[str], *, since: datetime, known_before: datetime
) -> Mapping[str, list[Event]]:
    """Return the events of some customers that occurred from an instant on and were received before another.

    Each customer's stand in the order in which they occurred; who has none is left out.
    """
    asked = ibis.memtable({"customer_id": list(dict.fromkeys(customer_ids))}, schema={"customer_id": "string"})
    events: dict[str, list[Event]] = {}
    with lake.connect() as connection:
        rows = _that_matter(lake.table(connection, "events"), since=since)
        known = rows.filter(rows.received_at < ibis.literal(known_before, INSTANT)).semi_join(asked, "customer_id")
        for event in _read(known.order_by("occurred_at", "message_id")):
            events.setdefault(event.customer_id, []).append(event)
    return events


def events_since(lake: Lake, instant: datetime) -> Iterator[Event]:
    """Yield the events of all customers that a live feature looks at and that occurred at or after an instant."""
    with lake.connect() as connection:
        yield from _read(_that_matter(lake.table(connection, "events"), since=instant))


def _that_matter(events: Table, *, since: datetime) -> Table:
    return events.filter(events.event.isin(LIVE_EVENTS) & (events.occurred_at >= ibis.literal(since, INSTANT)))


def _read(rows: Table) -> Iterator[Event]:
    for batch in rows.to_pyarrow().to_batches():
        # Arrow makes a datetime of a zoned timestamp several times more slowly than of a number.
        times = {n: [from_microseconds(t) for t in batch[n].cast("int64").to_pylist()] for n in _TIMES}
        properties = [from_json(text) for text in batch["properties"].to_pylist()]
        columns = batch.drop_columns([*_TIMES, "properties"]).to_pydict() | times | {"properties": properties}
        for values in zip(*columns.values(), strict=True):
            yield Event(**dict(zip(columns, values, strict=True)))
