"""What goes into an event log and what comes out of it, and what every log promises."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from facts.errors import RegularsError
from facts.order_names import made_order

KEPT_DAYS = 30
TAKEN = "message_id already used by another message"
ANOTHERS = "the order is another customer's; send its own userId"
# What a log that fails has left undone, where something came in and where somebody asked.
NOTHING_ACKNOWLEDGED, NOTHING_READ = "nothing was acknowledged", "the last events could not be read"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class EventLogFailed(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """The event log does not answer, or would not keep what it acknowledges."""

    def __init__(self, place: object, reason: object, *, advice: str) -> None:
        super().__init__(f"event log {place}: {reason}; {advice}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that may enter the log.

    Parameters
    ----------
    index
        Its place in the batch that it came in.
    properties
        A JSON object, as `json_text` writes it.
    content
        What `content_of` says of it: the same for the same message sent again, another for any other.
    """

    index: int
    message_id: str
    customer_id: str
    event: str
    occurred_at: datetime
    properties: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of the log; never received before it happened.

    `order_held_from` is when the lake first knew of the order, or the return, that it tells of, whoever told: None
    where the lake does not have it, and for all other events.
    """

    message_id: str
    customer_id: str
    event: str
    occurred_at: datetime
    received_at: datetime
    properties: Mapping[str, Any]
    order_held_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOrder:
    """An order, or a return, that the lake has: whose it is, and when the lake first knew of it."""

    order_id: str
    customer_id: str
    held_from: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An event that is not in the lake yet, and its place in the order in which the log took events in."""

    position: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A message that was not taken: its place in the batch, and why."""

    index: int
    reason: str
    message_id: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of some messages; those accepted are on disk."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...] = ()


class EventLog(Protocol):
    """Events as they come in: durable when acknowledged, read per customer, drained into the lake.

    Every method raises EventLogFailed where the store does not answer.
    """

    def append(self, messages: Sequence[Message], *, received_at: datetime) -> Appended:
        """Take messages in, all that are accepted in one step, and return when they are on disk.

        A message id that is known is a duplicate if the message is the same, and rejected if it is another one. A
        message about an order that is known to be another customer's is rejected; the first who completes an order has
        it.
        """

    def recent(self, customer_ids: Sequence[str], *, since: datetime, known_before: datetime) -> dict[str, list[Event]]:
        """Return each customer's events received before an instant, of those that happened since another one.

        Ordered by (occurred_at, message_id); a customer without events has an empty list.
        """

    def undrained(self, limit: int) -> list[Waiting]:
        """Return the first events that are not in the lake yet, in the order in which they were taken in."""

    def mark_drained(self, position: str) -> None:
        """Note that the events up to a position, and it, are in the lake."""

    def hold(self, orders: Iterable[HeldOrder]) -> None:
        """Note which orders the lake has; what it says of one stands over what events said of it."""

    def seed(self, events: Iterable[Event]) -> int:
        """Put events here that are in the lake already; known message ids are left as they are. Return how many."""

    def prune(self, before: datetime) -> int:
        """Forget the events received before an instant that are in the lake. Return how many."""

    def close(self) -> None:
        """Let go of the store."""


def taken(message: Message) -> Rejection:
    """Return the rejection of a message whose id is another one's."""
    return Rejection(index=message.index, message_id=message.message_id, field="messageId", reason=TAKEN)


def anothers(message: Message) -> Rejection:
    """Return the rejection of a message about another customer's order."""
    return Rejection(index=message.index, message_id=message.message_id, field="properties.order_id", reason=ANOTHERS)


def orders_made(events: Iterable[Event]) -> dict[str, str]:
    """Return the ids of the orders and returns that some events make, by message id."""
    made = ((event.message_id, made_order(event.event, event.properties)) for event in events)
    return {message_id: order_id for message_id, order_id in made if order_id is not None}


def with_held(event: Event, made: Mapping[str, str], held: Mapping[str, datetime]) -> Event:
    """Return an event with when the lake first knew of what it makes; see `orders_made`."""
    since = held.get(made.get(event.message_id, ""))
    return event if since is None else replace(event, order_held_from=since)


def to_microseconds(instant: datetime) -> int:
    """Return an aware instant as whole microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """Return the UTC instant that many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=count)


def json_text(properties: Mapping[str, Any]) -> str:
    """Return a JSON object as text, the same for equal objects; raise ValueError for a number that JSON has not."""
    return _ENCODER.encode(properties)


def content_of(customer_id: str, event: str, occurred_at: datetime | None, properties: str) -> str:
    """Return 32 hexadecimal digits that stand for what a message says; its time is None where it gives none."""
    when = "" if occurred_at is None else str(to_microseconds(occurred_at))
    said = f"{customer_id}\0{event}\0{when}\0{properties}"  # no part holds a NUL, so no two messages say the same
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def content_of_event(event: Event, properties: str) -> str:
    """Return what `content_of` said of an event's message, if its own time was kept; its properties as text."""
    return content_of(event.customer_id, event.event, event.occurred_at, properties)
