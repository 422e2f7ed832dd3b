"""Events of the lake as live features take them: what the event log would have answered then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import ibis

from facts.contracts import INSTANT
from facts.event_log import Event
from facts.lake import Lake
from features.live import LIVE_EVENTS

if TYPE_CHECKING:
    from ibis.expr.types import Table


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
        for row in batch.to_pylist():
            yield Event(**(row | {"properties": json.loads(row["properties"])}))
