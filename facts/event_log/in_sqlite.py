"""The event log of one machine: a SQLite file that several processes write.

WAL mode with full sync: a commit returns when its pages are on disk. One batch is one transaction. Writers wait for
each other, readers for nobody.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic_core import from_json

from facts.event_log.judge import judge, names_of
from facts.event_log.records import (
    NOTHING_ACKNOWLEDGED,
    NOTHING_READ,
    Appended,
    Event,
    EventLogFailed,
    HeldOrder,
    Message,
    Waiting,
    content_of_event,
    from_microseconds,
    json_text,
    orders_made,
    to_microseconds,
    with_held,
)
from facts.home import require_sqlite
from facts.order_names import ORDER_EVENTS

BUSY_SECONDS = 20.0
_CHUNK = 5_000  # rows of one transaction of the slow work, so that writers never wait long for it
_COLUMNS = "message_id, customer_id, event, occurred_at, received_at, properties"

_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL UNIQUE,
        customer_id TEXT NOT NULL,
        event TEXT NOT NULL,
        occurred_at INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        properties TEXT NOT NULL,
        content TEXT NOT NULL,
        is_drained INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS orders (
        order_id TEXT PRIMARY KEY,
        customer_id TEXT NOT NULL,
        held_from INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS of_customer ON events (customer_id, received_at)",
    "CREATE INDEX IF NOT EXISTS waiting ON events (position) WHERE is_drained = 0",
)
_INSERT = (
    f"INSERT OR IGNORE INTO events ({_COLUMNS}, content, is_drained) "  # noqa: S608 - our own columns
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_KNOWN = "SELECT message_id, content FROM events WHERE message_id IN (SELECT value FROM json_each(?))"
_OWNERS = "SELECT order_id, customer_id FROM orders WHERE order_id IN (SELECT value FROM json_each(?))"
_CLAIM = """
    INSERT INTO orders (order_id, customer_id) VALUES (?, ?)
    ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id
    WHERE customer_id <> excluded.customer_id
"""
_HELD = """
    SELECT order_id, held_from FROM orders
    WHERE order_id IN (SELECT value FROM json_each(?)) AND held_from IS NOT NULL
"""
_HOLD = """
    INSERT INTO orders (order_id, customer_id, held_from) VALUES (?, ?, ?)
    ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id, held_from = excluded.held_from
    WHERE customer_id <> excluded.customer_id OR held_from IS NOT excluded.held_from
"""
_RECENT = f"""
    SELECT {_COLUMNS} FROM events
    WHERE customer_id IN (SELECT value FROM json_each(?)) AND received_at >= ? AND received_at < ? AND occurred_at >= ?
    ORDER BY occurred_at, message_id
"""  # noqa: S608
_UNDRAINED = f"SELECT {_COLUMNS}, position FROM events WHERE is_drained = 0 ORDER BY position LIMIT ?"  # noqa: S608
_MARK = """
    UPDATE events SET is_drained = 1
    WHERE position IN (SELECT position FROM events WHERE is_drained = 0 AND position <= ? ORDER BY position LIMIT ?)
"""
_PRUNE = """
    DELETE FROM events
    WHERE position IN (SELECT position FROM events WHERE is_drained = 1 AND received_at < ? ORDER BY position LIMIT ?)
"""


@dataclass(frozen=True, slots=True)
class SqliteLog:
    """An event log in one file; open it with `SqliteLog.open`."""

    path: Path
    _writer: sqlite3.Connection
    _reader: sqlite3.Connection
    _writing: Lock = field(default_factory=Lock)
    _reading: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, path: Path) -> SqliteLog:
        """Open a log, a new one where there is none.

        Raises
        ------
        DamagedFile
            The file is no SQLite database.
        EventLogFailed
            It cannot be opened.
        """
        require_sqlite(path, advice="move it away; events that were not drained are in it")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _failures(path):
            log = cls(path, _connect(path), _connect(path))
            with log._transaction() as connection:
                for statement in _SCHEMA:
                    connection.execute(statement)
        return log

    def append(self, messages: Sequence[Message], *, received_at: datetime) -> Appended:
        """Take messages in, in one transaction."""
        received = to_microseconds(received_at)
        orders = {place: names_of(message) for place, message in enumerate(messages) if message.event in ORDER_EVENTS}
        with self._transaction() as connection:
            known = dict(_asked(connection, _KNOWN, [message.message_id for message in messages]))
            named = [order_id for names in orders.values() for order_id in names if order_id is not None]
            owners = dict(_asked(connection, _OWNERS, named)) if named else {}
            judged = judge(messages, known, orders, owners)
            connection.executemany(_INSERT, [_row_of_message(message, received) for message in judged.fresh])
            connection.executemany(_CLAIM, judged.claims)
        return judged.appended

    def recent(self, customer_ids: Sequence[str], *, since: datetime, known_before: datetime) -> dict[str, list[Event]]:
        """Return each customer's events, by when they happened."""
        happened, known = to_microseconds(since), to_microseconds(known_before)
        # Nothing is received before it happens, so the index bounds the search from below too.
        rows = self._read(_RECENT, (json.dumps(list(customer_ids)), happened, known, happened), what_of_it=NOTHING_READ)
        found: dict[str, list[Event]] = {customer_id: [] for customer_id in customer_ids}
        events = [_event_of(row) for row in rows]
        made = orders_made(events)
        held = self._held(set(made.values())) if made else {}
        for event in events:
            found[event.customer_id].append(with_held(event, made, held) if held else event)
        return found

    def undrained(self, limit: int) -> list[Waiting]:
        """Return the first events that are not in the lake yet."""
        return [Waiting(position=str(row[6]), event=_event_of(row)) for row in self._read(_UNDRAINED, (limit,))]

    def mark_drained(self, position: str) -> None:
        """Note that the events up to a position are in the lake."""
        self._in_chunks(_MARK, int(position))

    def hold(self, orders: Iterable[HeldOrder]) -> None:
        """Note which orders the lake has."""
        rows = ((order.order_id, order.customer_id, to_microseconds(order.held_from)) for order in orders)
        while chunk := list(islice(rows, _CHUNK)):
            with self._transaction() as connection:
                connection.executemany(_HOLD, chunk)

    def seed(self, events: Iterable[Event]) -> int:
        """Put events here that are in the lake already."""
        rows, count = (_row_of_event(event) for event in events), 0
        while chunk := list(islice(rows, _CHUNK)):
            with self._transaction() as connection:
                count += connection.executemany(_INSERT, chunk).rowcount
        return count

    def prune(self, before: datetime) -> int:
        """Forget the events received before an instant that are in the lake."""
        return self._in_chunks(_PRUNE, to_microseconds(before))

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._writer.close()

    def _held(self, order_ids: Iterable[str]) -> dict[str, datetime]:
        with self._reading, _failures(self.path, what_of_it=NOTHING_READ):
            rows = _asked(self._reader, _HELD, list(order_ids))
        return {order_id: from_microseconds(held_from) for order_id, held_from in rows}

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, _failures(self.path):
            self._writer.execute("BEGIN IMMEDIATE")  # the lock before the first read, so that no commit comes between
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def _read(
        self, query: str, parameters: tuple[object, ...], *, what_of_it: str = NOTHING_ACKNOWLEDGED
    ) -> list[tuple[str, str, str, int, int, str, int]]:
        with self._reading, _failures(self.path, what_of_it=what_of_it):
            return self._reader.execute(query, parameters).fetchall()

    def _in_chunks(self, statement: str, bound: int) -> int:
        count = 0
        while True:
            with self._transaction() as connection:
                changed = connection.execute(statement, (bound, _CHUNK)).rowcount
            count += changed
            if changed < _CHUNK:
                return count


@contextmanager
def _failures(path: Path, *, what_of_it: str = NOTHING_ACKNOWLEDGED) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        advice = f"{what_of_it}; see that the disk is not full and no other program holds the file"
        raise EventLogFailed(path, error, advice=advice) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS, where fsync alone does not reach the disk
    return connection


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait for other processes that do so at this moment, so this does."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _asked(connection: sqlite3.Connection, query: str, keys: Sequence[str]) -> list[tuple[str, Any]]:
    return connection.execute(query, (json.dumps(keys),)).fetchall()


def _row_of_message(message: Message, received: int) -> tuple[object, ...]:
    occurred = to_microseconds(message.occurred_at)
    said = (message.message_id, message.customer_id, message.event, occurred, received, message.properties)
    return (*said, message.content, 0)


def _row_of_event(event: Event) -> tuple[object, ...]:
    times = to_microseconds(event.occurred_at), to_microseconds(event.received_at)
    properties = json_text(event.properties)
    said = (event.message_id, event.customer_id, event.event, *times, properties)
    return (*said, content_of_event(event, properties), 1)


def _event_of(row: tuple[str, str, str, int, int, str, *tuple[int, ...]]) -> Event:
    message_id, customer_id, event, occurred, received, properties = row[:6]
    return Event(
        message_id=message_id,
        customer_id=customer_id,
        event=event,
        occurred_at=from_microseconds(occurred),
        received_at=from_microseconds(received),
        properties=from_json(properties),
    )
