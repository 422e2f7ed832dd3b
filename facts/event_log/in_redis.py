"""The event log of several machines: Redis, with a stream of what waits for the lake and an index per customer.

Every step that must be whole is one Lua script. An acknowledged event is on disk only where Redis syncs its append-only
file at every command: a server with other settings is refused.

Keys, all in one slot of a cluster: `{regulars}:events`, a hash from message id to content and event;
`{regulars}:waiting`, the stream of what is not in the lake yet; `{regulars}:drained`, the other message ids, and
`{regulars}:of:<customer id>`, those of one customer, both by when they were received.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json

from facts.event_log.records import (
    NOTHING_ACKNOWLEDGED,
    NOTHING_READ,
    Appended,
    Event,
    EventLogFailed,
    Message,
    Waiting,
    content_of_event,
    from_microseconds,
    json_text,
    taken,
    to_microseconds,
)

CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 5.0
DURABLE = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
_EVENTS, _WAITING, _DRAINED, _OF = "{regulars}:events", "{regulars}:waiting", "{regulars}:drained", "{regulars}:of:"
_CHUNK = 1_000  # events of one script or transaction, so that others never wait long for it
_ACCEPTED, _DUPLICATE = 0, 1
_CONTENT_LENGTH = 32

# KEYS: events, where the ids go (waiting or drained), then a customer's index for every event.
# ARGV: which of the two, then id, time of receipt and content with event, for every event. Returns a verdict for each.
_APPEND = """
local verdicts = {}
for i = 3, #KEYS do
  local at = 3 * (i - 3) + 2
  local id, received, told = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local known = redis.call('HGET', KEYS[1], id)
  if not known then
    redis.call('HSET', KEYS[1], id, told)
    redis.call('ZADD', KEYS[i], received, id)
    if ARGV[1] == 'waiting' then
      redis.call('XADD', KEYS[2], '*', 'id', id, 'received', received)
    else
      redis.call('ZADD', KEYS[2], received, id)
    end
    verdicts[#verdicts + 1] = 0
  elseif string.sub(known, 1, 32) == string.sub(told, 1, 32) then
    verdicts[#verdicts + 1] = 1
  else
    verdicts[#verdicts + 1] = 2
  end
end
return verdicts
"""

# KEYS: waiting, drained. ARGV: position, how many at most. Returns how many.
_MARK = """
local entries = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  redis.call('ZADD', KEYS[2], entry[2][4], entry[2][2])
  redis.call('XDEL', KEYS[1], entry[1])
end
return #entries
"""


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
            return cls(place, client, client.register_script(_APPEND), client.register_script(_MARK))

    def append(self, messages: Sequence[Message], *, received_at: datetime) -> Appended:
        """Take messages in, in one script."""
        if not messages:
            return Appended(accepted=0, duplicates=0)
        received = to_microseconds(received_at)
        rows = [(message.message_id, message.customer_id, received, _told(message, received)) for message in messages]
        verdicts = self._take(_WAITING, rows)
        return Appended(
            accepted=verdicts.count(_ACCEPTED),
            duplicates=verdicts.count(_DUPLICATE),
            rejected=tuple(
                taken(message)
                for message, verdict in zip(messages, verdicts, strict=True)
                if verdict not in {_ACCEPTED, _DUPLICATE}
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
        for event in self._events(message_ids, what_of_it=NOTHING_READ):
            if event.occurred_at >= since:
                found[event.customer_id].append(event)
        for events in found.values():
            events.sort(key=lambda event: (event.occurred_at, event.message_id))
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

    def seed(self, events: Iterable[Event]) -> int:
        """Put events here that are in the lake already."""
        rows, count = (_row_of_event(event) for event in events), 0
        while chunk := list(islice(rows, _CHUNK)):
            count += self._take(_DRAINED, chunk).count(_ACCEPTED)
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

    def _take(self, where: str, rows: Sequence[tuple[str, str, int, str]]) -> list[int]:
        keys = [_EVENTS, where, *(_OF + customer_id for _id, customer_id, _received, _told in rows)]
        told = (part for message_id, _customer, received, told in rows for part in (message_id, received, told))
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


def _told(message: Message, received: int) -> str:
    head = (message.customer_id, message.event, to_microseconds(message.occurred_at), received)
    return _text(message.content, head, message.properties)


def _row_of_event(event: Event) -> tuple[str, str, int, str]:
    received = to_microseconds(event.received_at)
    head = (event.customer_id, event.event, to_microseconds(event.occurred_at), received)
    properties = json_text(event.properties)
    told = _text(content_of_event(event, properties), head, properties)
    return event.message_id, event.customer_id, received, told


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
