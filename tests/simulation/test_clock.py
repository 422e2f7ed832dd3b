"""The customers' clocks: even time, wall time and UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.clock import DAY, HOUR, Clocks, Record, Zone, even_of_wall, instant, microseconds, wall_of_even

RECORD = Record.of_days(365)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Sydney", "UTC")
walls = st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 1))  # noqa: DTZ001 - what a clock on a wall shows
days = st.floats(-10, 1000, allow_nan=False)


def read(name: str) -> Zone:
    return Zone.read(name, RECORD, 365)


@given(days)
def test_even_time_and_wall_time_undo_each_other(day: float):
    assert wall_of_even(even_of_wall(np.array([day])))[0] == pytest.approx(day, abs=1e-9)


@given(days, days)
def test_even_time_goes_forward_with_the_wall_clock(first: float, second: float):
    early, late = sorted((first, second))
    even = even_of_wall(np.array([early, late]))
    assert even[0] <= even[1]


@given(st.integers(-5, 500))
def test_a_day_is_a_day_in_both(day: int):
    assert even_of_wall(np.array([float(day)]))[0] == day


def test_nights_pass_slower_in_even_time_than_evenings():
    night, evening = (np.diff(even_of_wall(np.array([hour, hour + 1]) / 24))[0] for hour in (3, 20))
    assert evening > 10 * night


@pytest.mark.parametrize("name", ZONES)
@given(walls)
def test_a_wall_time_that_exists_is_what_the_time_zone_says(name: str, wall: datetime):
    expected = wall.replace(tzinfo=ZoneInfo(name)).astimezone(UTC)
    is_there = expected.astimezone(ZoneInfo(name)).replace(tzinfo=None) == wall
    asked = np.array([microseconds(wall.replace(tzinfo=UTC))])
    found = instant(int(read(name).to_utc(asked)[0]))
    assert found == expected if is_there else abs(found - expected) <= timedelta(hours=1)


@pytest.mark.parametrize("name", ZONES)
@given(walls)
def test_the_wall_clock_shows_what_the_time_zone_says(name: str, naive: datetime):
    at = naive.replace(tzinfo=UTC)
    shown = read(name).to_wall(np.array([microseconds(at)]))[0]
    assert instant(int(shown)).replace(tzinfo=None) == at.astimezone(ZoneInfo(name)).replace(tzinfo=None)


@pytest.mark.parametrize("name", ZONES)
def test_order_is_kept_through_changes_of_the_clock(name: str):
    wall = RECORD.start + np.arange(0, 365 * DAY, HOUR // 4)
    assert (np.diff(read(name).to_utc(wall)) >= 0).all()


def test_the_hour_that_a_clock_leaves_out_is_the_change_itself():
    missing = np.array([microseconds(datetime(2024, 3, 31, 2, 30, tzinfo=UTC))])
    assert instant(int(read("Europe/Berlin").to_utc(missing)[0])) == datetime(2024, 3, 31, 1, tzinfo=UTC)


def test_every_customer_has_their_own_clock():
    clocks = Clocks.read(("UTC", "Asia/Tokyo"), RECORD, 365)
    noon = even_of_wall(np.array([100.5, 100.5]))
    utc = clocks.to_utc(noon, np.array([0, 1]))
    assert utc[0] - utc[1] == 9 * HOUR
    assert clocks.even_at(RECORD.end)[0] == 365
    assert clocks.even_at(RECORD.end)[1] > 365
