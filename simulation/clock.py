"""Time in the simulated shop: the instants of its record, and the customers' clocks.

Customers buy by day more than by night. Rates are constant in *even time*, in which every hour of a customer's wall
clock passes as fast as it is busy; a day is a day in both, so counts per day keep their laws. Even and wall time are
days since midnight of the record's first day, on the customer's own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MILLISECOND = 1_000  # of microseconds, in which instants are counted
SECOND = 1_000 * MILLISECOND
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2025, 1, 1, tzinfo=UTC)
MARGIN = timedelta(days=3)

_BUSY = np.array(
    [0.3, 0.15, 0.08, 0.05, 0.05, 0.1, 0.3, 0.6, 0.9, 1.1, 1.2, 1.2, 1.3, 1.2, 1.1, 1.1, 1.2, 1.4, 1.6, 1.9, 2.0, 1.7,
     1.1, 0.6]
)  # fmt: skip
_EVEN_HOURS = np.concatenate([[0.0], np.cumsum(_BUSY)]) / np.cumsum(_BUSY)[-1]
_WALL_HOURS = np.arange(25) / 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The span that the shop's data cover: [start, end), in microseconds since 1970, UTC."""

    start: int
    end: int

    @classmethod
    def of_days(cls, days: int) -> Record:
        """Return the record of so many days that ends at `END`."""
        end = microseconds(END)
        return cls(start=end - days * DAY, end=end)

    @property
    def days(self) -> int:
        """Length of the record."""
        return (self.end - self.start) // DAY


def microseconds(instant: datetime) -> int:
    """Return an instant as microseconds since 1970, UTC."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant(us: int) -> datetime:
    """Return the instant so many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=us)


def even_of_wall(wall: Floats) -> Floats:
    """Return even time at moments of the wall clock, both in days."""
    day = np.floor(wall)
    return np.asarray(day + np.interp(wall - day, _WALL_HOURS, _EVEN_HOURS), dtype=np.float64)


def wall_of_even(even: Floats) -> Floats:
    """Return the moments of the wall clock at which even time is this, both in days."""
    day = np.floor(even)
    return np.asarray(day + np.interp(even - day, _EVEN_HOURS, _WALL_HOURS), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One time zone over a span: from each of some instants on, what is added to UTC (microseconds)."""

    since: Ints
    since_wall: Ints  # the same instants, on the wall clock that ends there
    offset: Ints

    @classmethod
    def read(cls, name: str, record: Record, future_days: int) -> Zone:
        """Find the changes of a zone's clock within a record and the days after it."""
        zone = ZoneInfo(name)
        first, last = instant(record.start) - MARGIN, instant(record.end) + timedelta(days=future_days) + MARGIN
        changes = [first, *_changes(zone, first, last)]
        offset = np.array([_offset(zone, at) for at in changes], dtype=np.int64)
        since = np.array([microseconds(at) for at in changes], dtype=np.int64)
        return cls(since=since, since_wall=since + np.concatenate([offset[:1], offset[:-1]]), offset=offset)

    def to_utc(self, wall: Ints) -> Ints:
        """Return the instants at which the wall clock shows this: the first of two, the change itself where none."""
        at = np.maximum(np.searchsorted(self.since_wall, wall, side="right") - 1, 0)
        return np.asarray(np.maximum(wall - self.offset[at], self.since[at]), dtype=np.int64)

    def to_wall(self, utc: Ints) -> Ints:
        """Return what the wall clock shows."""
        at = np.maximum(np.searchsorted(self.since, utc, side="right") - 1, 0)
        return np.asarray(utc + self.offset[at], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The customers' clocks over one record, a zone each."""

    record: Record
    zones: tuple[Zone, ...]

    @classmethod
    def read(cls, names: Sequence[str], record: Record, future_days: int) -> Clocks:
        """Read several zones."""
        return cls(record=record, zones=tuple(Zone.read(name, record, future_days) for name in names))

    def to_utc(self, even: Floats, zone: Ints) -> Ints:
        """Return the instants, on whole milliseconds, at which it is this even time in a zone each."""
        wall = self.record.start + np.round(wall_of_even(even) * (DAY / MILLISECOND)).astype(np.int64) * MILLISECOND
        utc = np.zeros_like(wall)
        for number, one in enumerate(self.zones):
            chosen = zone == number
            utc[chosen] = one.to_utc(wall[chosen])
        return utc

    def even_at(self, utc: int) -> Floats:
        """Return the even time of every zone at one instant."""
        walls = np.array([one.to_wall(np.array([utc], dtype=np.int64))[0] for one in self.zones])
        return even_of_wall((walls - self.record.start) / DAY)


def _offset(zone: ZoneInfo, at: datetime) -> int:
    return (at.astimezone(zone).utcoffset() or timedelta()) // timedelta(microseconds=1)


def _changes(zone: ZoneInfo, first: datetime, last: datetime) -> list[datetime]:
    days = [first + timedelta(days=n) for n in range((last - first).days + 2)]
    return [
        _change(zone, before, after)
        for before, after in pairwise(days)
        if _offset(zone, before) != _offset(zone, after)
    ]


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first second of a day at which the zone's clock has changed."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if _offset(zone, middle) == _offset(zone, before) else (before, middle)
    return after
