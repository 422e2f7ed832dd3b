"""The event log of several machines: Redis, with a stream of what waits for the lake and an index per customer.

Every step that must be whole is one Lua script. An acknowledged event is on disk only where Redis syncs its append-only
file at every command: a server with other settings is refused.

Keys, all in one slot of a cluster: `{regulars}:events`, a hash from message id to content and event;
`{regulars}:waiting`, the stream of what is not in the lake yet; `{regulars}:drained`, the other message ids, and
`{regulars}:of:<customer id>`, those of one customer, both by when they were received; `{regulars}:orders`, a hash from
order id to when the lake first knew of it (empty where it does not) and, after a colon, whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pydantic_core import from_json

from facts.event_log.records import (
    NOTHING_ACKNOWLEDGED,
    NOTHING_READ,
    Appended,
    Event,
    EventLogFailed,
    HeldOrder,
    Message,
    Waiting,
    anothers,
    content_of_event,
    from_microseconds,
    json_text,
    orders_made,
    taken,
    to_microseconds,
    with_held,
)
from facts.event_log.redis_scripts import ACCEPTED, ANOTHERS, APPEND, DUPLICATE, MARK
from facts.order_names import ORDER_EVENTS, made_order, named_order

CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 5.0
DURABLE = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
_EVENTS, _WAITING, _DRAINED, _OF = "{regulars}:events", "{regulars}:waiting", "{regulars}:drained", "{regulars}:of:"
_ORDERS = "{regulars}:orders"
_CHUNK = 1_000  # events of one script or transaction, so that others never wait long for it
_CONTENT_LENGTH = 32
_Row: TypeAlias = tuple[str, int, str, str, str, str]  # what APPEND takes of an event


@dataclass(frozen=True, slots=True)
class RedisLog:
    """An event log in Redis; open it with `RedisLog.open`."""

    place: str
    _client: Any
    _append: Any
    _mark: Any

    @classmethod
    def open(cls, address: str, *, answer_seconds: float = ANSWER_SECONDS) -> RedisLog:
        """Open the log at an address such as `redis://host:6379/0`; an answer that takes longer is given up.

        Raises
        ------
        EventLogFailed
            The server does not answer, or would lose what it acknowledged: the sentence names the setting.
        """
        place = _place(address)
        try:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            advice = "install the extra `redis`, or leave the address empty for a file in the home"
            raise EventLogFailed(place, "the package redis is not installed", advice=advice) from error
        with _failures(place):
            # No retries: a client that retries keeps a request waiting for ten seconds when the server is down.
            client: Any = Redis.from_url(
                address,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=answer_seconds,
            )
            _require_durable(client, place)
            return cls(place, client, client.register_script(APPEND), client.register_script(MARK))

    def append(self, messages: Sequence[Message], *, received_at: datetime) -> Appended:
        """Take messages in, in one script."""
        if not messages:
            return Appended(accepted=0, duplicates=0)
        received = to_microseconds(received_at)
        verdicts = self._take(_WAITING, [_row_of_message(message, received) for message in messages])
        return Appended(
            accepted=verdicts.count(ACCEPTED),
            duplicates=verdicts.count(DUPLICATE),
            rejected=tuple(
                anothers(message) if verdict == ANOTHERS else taken(message)
                for message, verdict in zip(messages, verdicts, strict=True)
                if verdict not in {ACCEPTED, DUPLICATE}
            ),
        )

    def recent(self, customer_ids: Sequence[str], *, since: datetime, known_before: datetime) -> dict[str, list[Event]]:
        """Return each customer's events, by when they happened."""
        found: dict[str, list[Event]] = {customer_id: [] for customer_id in customer_ids}
        # Nothing is received before it happens, so the index bounds the search from below too.
        first, end = to_microseconds(since), f"({to_microseconds(known_before)}"
        with _failures(self.place, what_of_it=NOTHING_READ):
            asked = self._client.pipeline(transaction=False)
            for customer_id in found:
                asked.zrangebyscore(_OF + customer_id, first, end)
            message_ids = [message_id for ids in asked.execute() for message_id in ids]
        events = [e for e in self._events(message_ids, what_of_it=NOTHING_READ) if e.occurred_at >= since]
        made = orders_made(events)
        held = self._held(list(made.values())) if made else {}
        for event in events:
            found[event.customer_id].append(with_held(event, made, held))
        for told in found.values():
            told.sort(key=lambda event: (event.occurred_at, event.message_id))
        return found

    def undrained(self, limit: int) -> list[Waiting]:
        """Return the first events that are not in the lake yet."""
        with _failures(self.place):
            entries = self._client.xrange(_WAITING, count=limit)
        events = self._events([entry["id"] for _position, entry in entries])
        return [
            Waiting(position=position, event=event) for (position, _entry), event in zip(entries, events, strict=True)
        ]

    def mark_drained(self, position: str) -> None:
        """Note that the events up to a position are in the lake."""
        with _failures(self.place):
            while self._mark(keys=[_WAITING, _DRAINED], args=[position, _CHUNK]) == _CHUNK:
                pass

    def hold(self, orders: Iterable[HeldOrder]) -> None:
        """Note which orders the lake has."""
        told = ((order.order_id, f"{to_microseconds(order.held_from)}:{order.customer_id}") for order in orders)
        while chunk := dict(islice(told, _CHUNK)):
            with _failures(self.place):
                self._client.hset(_ORDERS, mapping=chunk)

    def seed(self, events: Iterable[Event]) -> int:
        """Put events here that are in the lake already."""
        rows, count = (_row_of_event(event) for event in events), 0
        while chunk := list(islice(rows, _CHUNK)):
            count += self._take(_DRAINED, chunk).count(ACCEPTED)
        return count

    def prune(self, before: datetime) -> int:
        """Forget the events received before an instant that are in the lake."""
        count = 0
        while True:
            with _failures(self.place):
                end = f"({to_microseconds(before)}"
                message_ids = self._client.zrangebyscore(_DRAINED, "-inf", end, start=0, num=_CHUNK)
            self._forget(message_ids)
            count += len(message_ids)
            if len(message_ids) < _CHUNK:
                return count

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _take(self, where: str, rows: Sequence[_Row]) -> list[int]:
        keys = [_EVENTS, where, _ORDERS, *(_OF + customer_id for _id, _received, _told, customer_id, *_names in rows)]
        told = (part for row in rows for part in row)
        with _failures(self.place):
            verdicts: list[int] = self._append(keys=keys, args=["waiting" if where == _WAITING else "drained", *told])
        return verdicts

    def _events(self, message_ids: Sequence[str], *, what_of_it: str = NOTHING_ACKNOWLEDGED) -> list[Event]:
        if not message_ids:
            return []
        with _failures(self.place, what_of_it=what_of_it):
            told = self._client.hmget(_EVENTS, message_ids)
        # An event that was pruned between the two questions is not there.
        return [
            _event_of(message_id, text) for message_id, text in zip(message_ids, told, strict=True) if text is not None
        ]

    def _held(self, order_ids: Sequence[str]) -> dict[str, datetime]:
        with _failures(self.place, what_of_it=NOTHING_READ):
            told = self._client.hmget(_ORDERS, order_ids)
        since = ((order_id, (said or "").partition(":")[0]) for order_id, said in zip(order_ids, told, strict=True))
        return {order_id: from_microseconds(int(count)) for order_id, count in since if count}

    def _forget(self, message_ids: Sequence[str]) -> None:
        with _failures(self.place):
            whole = self._client.pipeline(transaction=True)
            for event in self._events(message_ids):
                whole.zrem(_OF + event.customer_id, event.message_id)
            if message_ids:
                whole.hdel(_EVENTS, *message_ids)
                whole.zrem(_DRAINED, *message_ids)
            whole.execute()


@contextmanager
def _failures(place: str, *, what_of_it: str = NOTHING_ACKNOWLEDGED) -> Iterator[None]:
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, ValueError) as error:  # an address that is none is a ValueError
        advice = f"{what_of_it}; see that the server runs and REGULARS_EVENT_LOG names it"
        raise EventLogFailed(place, str(error).rstrip("."), advice=advice) from error


def _place(address: str) -> str:
    """Return an address without its password."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _require_durable(client: Any, place: str) -> None:  # noqa: ANN401 - redis-py types every answer as two things
    settings: dict[str, str] = client.config_get("*")
    for name, needed in DURABLE.items():
        if settings.get(name) != needed:
            reason = f"the server has {name} {settings.get(name)}, so it can lose what it acknowledged"
            raise EventLogFailed(place, reason, advice=f"set `{name} {needed}` in redis.conf and restart it")
    policy = settings.get("maxmemory-policy", "")
    if settings.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
        reason = f"the server has maxmemory-policy {policy}, so it drops events when its memory is full"
        raise EventLogFailed(place, reason, advice="set `maxmemory-policy noeviction` in redis.conf and restart it")


def _row_of_message(message: Message, received: int) -> _Row:
    head = (message.customer_id, message.event, to_microseconds(message.occurred_at), received)
    told, names = _text(message.content, head, message.properties), ("", "")
    if message.event in ORDER_EVENTS:
        properties = from_json(message.properties)
        names = named_order(message.event, properties) or "", made_order(message.event, properties) or ""
    return message.message_id, received, told, message.customer_id, *names


def _row_of_event(event: Event) -> _Row:
    """Return a row that takes no order: what the lake has of it, `hold` tells."""
    received = to_microseconds(event.received_at)
    head = (event.customer_id, event.event, to_microseconds(event.occurred_at), received)
    properties = json_text(event.properties)
    told = _text(content_of_event(event, properties), head, properties)
    return event.message_id, received, told, event.customer_id, "", ""


def _text(content: str, head: Sequence[object], properties: str) -> str:
    return f"{content}{json.dumps(list(head), ensure_ascii=False)[:-1]},{properties}]"


def _event_of(message_id: str, text: str) -> Event:
    customer_id, event, occurred, received, properties = from_json(text[_CONTENT_LENGTH:])
    return Event(
        message_id=message_id,
        customer_id=customer_id,
        event=event,
        occurred_at=from_microseconds(occurred),
        received_at=from_microseconds(received),
        properties=properties,
    )
