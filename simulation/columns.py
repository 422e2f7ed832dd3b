"""From numbers to Arrow columns: ids, money and instants as text or in the contracts' types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulation.clock import DAY, HOUR, Bools, Ints, Zone

MONEY_SCALE = 100  # four decimal places from cents
EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday
UTC_INSTANT = pa.timestamp("us", tz="UTC")
TWO_DIGITS = pa.array([f"{n:02d}" for n in range(100)])

Column = Any  # a pyarrow array: the package has no types


def text(*parts: Column | str) -> Column:
    """Join columns and constants, element by element."""
    return pc.binary_join_element_wise(*parts, "")


def numbers(values: Ints) -> Column:
    """Write whole numbers as text."""
    return pc.cast(pa.array(values), pa.string())


def amounts(cents: Ints) -> Column:
    """Write amounts that are not negative as text with two decimals."""
    return text(numbers(cents // 100), ".", TWO_DIGITS.take(pa.array(cents % 100)))


def money(cents: Ints) -> Column:
    """Return cents as the contracts' decimals, by their bytes: 128 bits, the low half first."""
    halves = np.empty((len(cents), 2), dtype=np.int64)
    halves[:, 0] = cents * MONEY_SCALE
    halves[:, 1] = np.where(cents < 0, -1, 0)
    return pa.Array.from_buffers(pa.decimal128(18, 4), len(cents), [None, pa.py_buffer(halves.tobytes())])


def instants(us: Ints, *, known: Bools | None = None) -> Column:
    """Return microseconds since 1970 as instants, missing where they are not known."""
    return pa.array(us, type=pa.int64(), mask=None if known is None else ~known).cast(UTC_INSTANT)


def instant_text(us: Ints) -> Column:
    """Write instants as ISO 8601 to the millisecond, in UTC."""
    naive = pa.array(us // 1000, type=pa.int64()).cast(pa.timestamp("ms"))
    return text(pc.strftime(naive, format="%Y-%m-%dT%H:%M:%S"), "Z")


def chosen(values: Column, index: Ints) -> Column:
    """Take values by index, missing where the index is negative."""
    return values.take(pa.array(index, mask=index < 0))


def local_columns(us: Ints, zone: Zone) -> dict[str, Column]:
    """Return the day, weekday (Monday = 0) and hour on a zone's clock."""
    wall = zone.to_wall(us)
    day = wall // DAY
    return {
        "local_on": pa.array(day.astype(np.int32), type=pa.int32()).cast(pa.date32()),
        "local_weekday": pa.array(((day + EPOCH_WEEKDAY) % 7).astype(np.int8)),
        "local_hour": pa.array((wall % DAY // HOUR).astype(np.int8)),
    }
