"""Events as live features see them: those of one customer that are known at an instant, in time order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Protocol

REACH = timedelta(days=30)
"""How far back an event may have occurred to count. Stores of events must keep, and give, at least as much."""

IN_TIME = attrgetter("occurred_at", "message_id")
IN_ARRIVAL = attrgetter("received_at", "message_id", "occurred_at")
OCCURRED = attrgetter("occurred_at")


class AnyEvent(Protocol):
    """What an event must tell; those of the event log do, as they are."""

    @property
    def message_id(self) -> str:
        """The message's own id."""

    @property
    def event(self) -> str:
        """What happened, named as in Segment's e-commerce specification."""

    @property
    def occurred_at(self) -> datetime:
        """When it happened, aware."""

    @property
    def received_at(self) -> datetime:
        """When it was learned of, aware."""

    @property
    def properties(self) -> Mapping[str, object]:
        """The event's JSON object."""

    @property
    def order_held_from(self) -> datetime | None:
        """When the lake first knew of the order or return that it tells of, None where it does not have it."""


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of one customer."""

    message_id: str
    event: str
    occurred_at: datetime
    received_at: datetime
    properties: Mapping[str, object]
    order_held_from: datetime | None = None


def known_events(events: Iterable[AnyEvent], *, at: datetime) -> list[AnyEvent]:
    """Return the events that count at an instant, ordered by (occurred_at, message_id), every message once.

    An event counts when it was received before the instant and occurred in [at - REACH, at). Of the copies of one
    message the one received first counts.
    """
    since = at - REACH
    known = [e for e in events if e.received_at < at and since <= e.occurred_at < at]
    if len({e.message_id for e in known}) < len(known):
        known.sort(key=IN_ARRIVAL, reverse=True)
        known = list({e.message_id: e for e in known}.values())
    known.sort(key=IN_TIME)
    return known
