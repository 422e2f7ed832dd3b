"""The decision log of one machine: a SQLite file that several processes write.

WAL mode without a sync of every commit: a process that is killed loses nothing that it wrote, a machine that loses
power may lose the last seconds. They are a measure, not facts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from facts.event_log.in_sqlite import BUSY_SECONDS, use_wal
from facts.event_log.records import from_microseconds, to_microseconds
from facts.home import require_sqlite
from scoring.decision_log.records import Decision, DecisionLogFailed

_DAY = 86_400_000_000  # microseconds
_CHUNK = 5_000  # rows of one transaction of pruning, so that writers never wait long for it
_TYPES = {
    "customer_id": "TEXT NOT NULL",
    "task": "TEXT NOT NULL",
    "score": "REAL NOT NULL",
    "horizon_days": "INTEGER NOT NULL",
    "model": "TEXT NOT NULL",
    "answered_at": "INTEGER NOT NULL",
    "features_as_of": "INTEGER NOT NULL",
    "request_id": "TEXT NOT NULL",
    "p10": "REAL",  # this and what follows the first logs did not have
    "p50": "REAL",
    "p90": "REAL",
    "mean": "REAL",
}
_COLUMNS = ", ".join(_TYPES)
_SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS decisions (
        position INTEGER PRIMARY KEY,
        recorded_at INTEGER NOT NULL,
        {", ".join(f"{name} {of}" for name, of in _TYPES.items())}
    )
"""
_INSERT = f"INSERT INTO decisions ({_COLUMNS}, recorded_at) VALUES ({'?, ' * len(_TYPES)}?)"  # noqa: S608 - our own
_FIRST = f"""
    SELECT {_COLUMNS} FROM (
        SELECT *, row_number() OVER (
            PARTITION BY model, customer_id, answered_at / {_DAY} ORDER BY answered_at, position
        ) AS place
        FROM decisions WHERE task = ? AND answered_at + horizon_days * {_DAY} <= ?
    )
    WHERE place = 1 ORDER BY model, customer_id, answered_at
"""  # noqa: S608
# Positions grow with the time of writing, so the old ones are the first: no index, which every answer would pay for.
_PRUNE = """
    DELETE FROM decisions WHERE position IN (
        SELECT position FROM decisions WHERE position < coalesce(
            (SELECT position FROM decisions WHERE recorded_at >= ? ORDER BY position LIMIT 1), 9223372036854775807
        )
        ORDER BY position LIMIT ?
    )
"""


@dataclass(frozen=True, slots=True)
class SqliteDecisions:
    """A decision log in one file; open it with `SqliteDecisions.open`."""

    path: Path
    _connection: sqlite3.Connection
    _using: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, path: Path) -> SqliteDecisions:
        """Open a log, a new one where there is none.

        Raises
        ------
        DamagedFile
            The file is no SQLite database.
        DecisionLogFailed
            It cannot be opened.
        """
        require_sqlite(path, advice="move it away; what was answered is in it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise DecisionLogFailed(path, error) from error
        try:
            use_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
            _complete(connection)
        except sqlite3.Error as error:
            connection.close()
            raise DecisionLogFailed(path, error) from error
        return cls(path, connection)

    def append(self, decisions: Sequence[Decision], *, recorded_at: datetime) -> None:
        """Keep decisions, in one transaction."""
        recorded = to_microseconds(recorded_at)
        with self._transaction() as connection:
            connection.executemany(_INSERT, ((*_row_of(decision), recorded) for decision in decisions))

    def first_of_each_day(self, task: str, *, settled_by: datetime) -> list[Decision]:
        """Return the decisions whose horizon had passed by an instant: of a model, customer and UTC day the first."""
        with self._used() as connection:
            rows = connection.execute(_FIRST, (task, to_microseconds(settled_by)))
            return [_decision_of(row) for row in rows]

    def count(self, task: str) -> int:
        """Return how many decisions of a task are kept."""
        with self._used() as connection:
            return int(connection.execute("SELECT count(*) FROM decisions WHERE task = ?", (task,)).fetchone()[0])

    def prune(self, recorded_before: datetime) -> int:
        """Forget the decisions that were written before an instant."""
        bound, count = to_microseconds(recorded_before), 0
        while True:
            with self._transaction() as connection:
                changed = connection.execute(_PRUNE, (bound, _CHUNK)).rowcount
            count += changed
            if changed < _CHUNK:
                return count

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._used() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        with self._using:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise DecisionLogFailed(self.path, error) from error


def _complete(connection: sqlite3.Connection) -> None:
    """Add the columns that a log of an earlier release lacks, for one process that opens it at a time."""
    if not _lacking(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    for name in _lacking(connection):
        connection.execute(f"ALTER TABLE decisions ADD COLUMN {name} {_TYPES[name]}")
    connection.execute("COMMIT")


def _lacking(connection: sqlite3.Connection) -> list[str]:
    known = {name for _, name, *_ in connection.execute("PRAGMA table_info(decisions)")}
    return [name for name in _TYPES if name not in known]


def _row_of(decision: Decision) -> tuple[object, ...]:
    return (
        decision.customer_id,
        decision.task,
        decision.score,
        decision.horizon_days,
        decision.model,
        to_microseconds(decision.answered_at),
        to_microseconds(decision.features_as_of),
        decision.request_id,
        *(decision.interval or (None, None, None)),
        decision.mean,
    )


def _decision_of(row: tuple[Any, ...]) -> Decision:
    customer_id, task, score, horizon_days, model, answered_at, features_as_of, request_id, *interval, mean = row
    low, middle, high = interval
    return Decision(
        customer_id=customer_id,
        task=task,
        score=score,
        horizon_days=horizon_days,
        model=model,
        answered_at=from_microseconds(answered_at),
        features_as_of=from_microseconds(features_as_of),
        request_id=request_id,
        interval=None if low is None else (low, middle, high),
        mean=mean,
    )
