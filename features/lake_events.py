"""Events of the lake as live features take them: what the event log would have answered then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow.compute as pc
from ibis import _
from pydantic_core import from_json

from facts.contracts import INSTANT
from facts.event_log import Event, HeldOrder
from facts.event_log.records import from_microseconds, orders_made, with_held
from facts.lake import Lake
from facts.order_names import ORDER_EVENTS
from features.live import LIVE_EVENTS, REACH

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.expr.types import Table
    from numpy.typing import NDArray

_TIMES = ("occurred_at", "received_at")


@dataclass(frozen=True, slots=True)
class Told:
    """What the events of the last REACH tell of some customers at one instant.

    Parameters
    ----------
    last_at
        By the name of an event: when it last occurred to each customer, microseconds since 1970, NaN for never.
    loud
        Who is not quiet (`features.live_many`), by their place among the customers: their events.
    """

    last_at: Mapping[str, NDArray[np.float64]]
    loud: Mapping[int, list[Event]]


class EventsAt:
    """The lake's events that are known at an instant, read once and asked for customers by the thousand.

    Parameters
    ----------
    events
        The lake's, opened by an engine; those of the last REACH are copied into its memory.
    cutoff
        Of the snapshot that is known at the instant: orders told of before it are in it. None where there is none.
    lasting, loud
        The names of the events of which it matters when they last occurred, and of those of which more does.
    """

    def __init__(
        self,
        lake: Lake,
        events: Table,
        *,
        cutoff: datetime | None,
        at: datetime,
        lasting: Collection[str],
        loud: Collection[str],
    ) -> None:
        now = ibis.literal(at, INSTANT)
        rows = _that_matter(events, since=at - REACH)
        rows = rows.filter((rows.occurred_at < now) & (rows.received_at < now))
        is_loud = rows.event.isin(ORDER_EVENTS)
        if cutoff is not None:
            is_loud &= rows.received_at >= ibis.literal(cutoff, INSTANT)
        is_loud |= rows.event.isin(list(loud))
        self._connection, self._lasting = events.get_backend(), sorted(lasting)
        self._orders = lake.table(self._connection, "orders")  # opened once: its file is checked each time
        lasts = rows.filter(rows.event.isin(self._lasting)).group_by("customer_id", "event")
        self._last = self._kept("last_events", lasts.agg(last_at=_.occurred_at.max()))
        whose = self._kept("loud_customers", rows.filter(is_loud).select("customer_id").distinct())
        self._loud = self._kept("loud_events", rows.semi_join(whose, "customer_id"))

    def of(self, customer_ids: Sequence[str]) -> Told:
        """Return what the events tell of some customers."""
        places = {"customer_id": list(customer_ids), "place": range(len(customer_ids))}
        asked = ibis.memtable(places, schema={"customer_id": "string", "place": "int64"})
        last_at = {name: np.full(len(customer_ids), np.nan) for name in self._lasting}
        rows = self._last.inner_join(asked, "customer_id").select("event", "place", "last_at").to_pyarrow()
        for name, known in last_at.items():
            here = rows.filter(pc.equal(rows["event"], name))
            known[here["place"].to_numpy()] = here["last_at"].cast("int64").to_numpy()
        events = _by_customer(self._loud.semi_join(asked, "customer_id"), self._orders)
        loud = {place: events[customer] for place, customer in enumerate(customer_ids) if customer in events}
        return Told(last_at, loud)

    def _kept(self, name: str, rows: Table) -> Table:
        """Keep rows in the engine's memory until others of that name are kept."""
        self._connection.raw_sql(f"DROP TABLE IF EXISTS {name}")
        return self._connection.create_table(name, rows, temp=True)


def _by_customer(known: Table, orders: Table) -> dict[str, list[Event]]:
    told = list(_read(known.order_by("occurred_at", "message_id")))
    made = orders_made(told)
    held = _held_from(orders, made.values()) if made else {}
    events: dict[str, list[Event]] = {}
    for event in told:
        events.setdefault(event.customer_id, []).append(with_held(event, made, held))
    return events


def events_since(lake: Lake, instant: datetime) -> Iterator[Event]:
    """Yield the events of all customers that a live feature looks at and that occurred at or after an instant."""
    with lake.connect() as connection:
        yield from _read(_that_matter(lake.table(connection, "events"), since=instant))


def read_events(
    lake: Lake, customer_ids: Sequence[str], *, names: Collection[str], since: datetime, until: datetime
) -> dict[str, list[Event]]:
    """Read events of some customers that occurred in [since, until), by customer and in time order."""
    asked = ibis.memtable({"customer_id": list(customer_ids)}, schema={"customer_id": "string"})
    with lake.connect() as connection:
        events = lake.table(connection, "events")
        span = (events.occurred_at >= ibis.literal(since, INSTANT)) & (
            events.occurred_at < ibis.literal(until, INSTANT)
        )
        known = events.filter(span, events.event.isin(list(names))).semi_join(asked, "customer_id")
        return _by_customer(known, lake.table(connection, "orders"))


def held_orders(lake: Lake) -> Iterator[HeldOrder]:
    """Yield every order and return that the lake has, as its last version has it, in the order of their ids."""
    with lake.connect() as connection:
        orders = lake.table(connection, "orders").group_by("order_id")
        last = orders.agg(customer_id=_.customer_id.argmax(_.version), held_from=_.received_at.min())
        for batch in last.order_by("order_id").to_pyarrow().to_batches():
            told = (batch[name].to_pylist() for name in ("order_id", "customer_id"))
            for order_id, customer_id, held_from in zip(*told, _instants(batch["held_from"]), strict=True):
                yield HeldOrder(order_id=order_id, customer_id=customer_id, held_from=held_from)


def _held_from(orders: Table, order_ids: Iterable[str]) -> dict[str, datetime]:
    asked = ibis.memtable({"order_id": sorted(set(order_ids))}, schema={"order_id": "string"})
    found = orders.semi_join(asked, "order_id").group_by("order_id").agg(held_from=_.received_at.min()).to_pyarrow()
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
