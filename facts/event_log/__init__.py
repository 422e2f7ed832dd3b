"""Events as they come in: durable when acknowledged, read per customer, drained into the lake.

A file in the home by default; Redis where `REGULARS_EVENT_LOG` names one.
"""

from __future__ import annotations

import os

from facts.event_log.in_redis import RedisLog
from facts.event_log.in_sqlite import SqliteLog
from facts.event_log.records import (
    KEPT_DAYS,
    Appended,
    Event,
    EventLog,
    EventLogFailed,
    HeldOrder,
    Message,
    Rejection,
    Waiting,
)
from facts.home import Home

__all__ = [
    "EVENT_LOG",
    "KEPT_DAYS",
    "Appended",
    "Event",
    "EventLog",
    "EventLogFailed",
    "HeldOrder",
    "Message",
    "Rejection",
    "Waiting",
    "event_log_from_environment",
    "open_event_log",
]

EVENT_LOG = "REGULARS_EVENT_LOG"
_REDIS = ("redis://", "rediss://", "unix://")


def open_event_log(home: Home, *, address: str = "") -> EventLog:
    """Open the event log at an address of Redis, or, where it is empty, the file `events.db` in the home.

    Raises
    ------
    EventLogFailed
        It cannot be opened, or would not keep what it acknowledges.
    DamagedFile
        The file is no SQLite database.
    """
    if not address:
        return SqliteLog.open(home.folder / "events.db")
    if not address.startswith(_REDIS):
        advice = f"set {EVENT_LOG} to redis://host:6379/0, or to nothing for a file in the home"
        raise EventLogFailed(address.partition("://")[0], "that is not an address of Redis", advice=advice)
    return RedisLog.open(address)


def event_log_from_environment(home: Home) -> EventLog:
    """Open the event log that `REGULARS_EVENT_LOG` names."""
    return open_event_log(home, address=os.environ.get(EVENT_LOG, ""))
