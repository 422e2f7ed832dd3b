"""Times: the shop's clock, told as Python's own zones tell it, gaps and overlaps included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.ingest.table.guess import time_formats
from facts.ingest.table.times import instant_of, read_instant, read_wall, tells_hours, wall_at

BERLIN = "Europe/Berlin"
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/Sao_Paulo")
WALLS = st.datetimes(min_value=datetime(1995, 1, 1), max_value=datetime(2030, 1, 1))  # noqa: DTZ001 - walls know no zone
CHANGES = [
    datetime(2024, 3, 31, 2, 30), datetime(2024, 10, 27, 2, 30), datetime(2024, 11, 3, 1, 30),  # noqa: DTZ001
    datetime(2024, 4, 7, 1, 45), datetime(2018, 11, 4, 0, 30),  # noqa: DTZ001
]  # fmt: skip


def ask(table, **asked):
    engine = ibis.duckdb.connect()
    engine.raw_sql("SET TimeZone = 'UTC'")
    return engine.to_pyarrow(table.select(**asked)).to_pylist()


def read(texts, formats, zone=BERLIN):
    """Return for each text its instant and whether it told an hour."""
    table = ibis.memtable({"text": texts}, schema={"text": "string"})
    wall = read_wall(table.text, formats)
    instant = ibis.coalesce(instant_of(wall, zone), read_instant(table.text, formats))
    found = ask(table, instant=instant, hours=tells_hours(table.text, formats))
    return [(row["instant"], row["hours"]) for row in found]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ZONES), st.lists(WALLS, min_size=1, max_size=30))
def test_a_wall_clock_is_read_as_pythons_first_of_two(zone, walls):
    walls = [*walls, *CHANGES]
    table = ibis.memtable({"wall": walls}, schema={"wall": "timestamp(6)"})
    found = [row["instant"] for row in ask(table, instant=instant_of(table.wall, zone))]
    assert found == [wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC) for wall in walls]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(ZONES), st.lists(WALLS, min_size=1, max_size=30))
def test_an_instant_shows_the_wall_that_python_shows(zone, walls):
    instants = [wall.replace(tzinfo=UTC) for wall in walls]
    table = ibis.memtable({"at": instants}, schema={"at": "timestamp('UTC', 6)"})
    found = [row["wall"] for row in ask(table, wall=wall_at(table.at, zone))]
    assert found == [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in instants]


def test_the_hour_that_happens_twice_is_the_first_and_the_one_that_does_not_is_the_next():
    assert read(["2024-10-27 02:30", "2024-03-31 02:30"], ("iso",)) == [
        (utc(2024, 10, 27, 0, 30), True),
        (utc(2024, 3, 31, 1, 30), True),
    ]


@pytest.mark.parametrize(
    ("text", "instant", "has_hours"),
    [
        ("2024-01-05", utc(2024, 1, 4, 23), False),
        ("2024-1-5", utc(2024, 1, 4, 23), False),
        ("2024-01-05 10:00", utc(2024, 1, 5, 9), True),
        ("2024-01-05T10:00:00.5", utc(2024, 1, 5, 9, 0, 0, 500_000), True),
        ("2024-01-05T10:00:00Z", utc(2024, 1, 5, 10), True),
        ("2024-01-05 10:00:00 UTC", utc(2024, 1, 5, 10), True),
        ("2024-01-05 10:00:00 -0500", utc(2024, 1, 5, 15), True),
        ("2024-01-05 10:00:00-05:00", utc(2024, 1, 5, 15), True),
        ("2024-01-05T10:00+0530", utc(2024, 1, 5, 4, 30), True),
        ("2024-01-05T10:00:00+02", utc(2024, 1, 5, 8), True),
    ],
)
def test_iso(text, instant, has_hours):
    assert read([text], ("iso",)) == [(instant, has_hours)]


@pytest.mark.parametrize(
    "text",
    ["2024-02-30", "2024-01-05 25:00", "05.01.2024", "infinity", "epoch", "2024-01-05 10:00 x", "20240105", "now"],
)
def test_what_is_not_iso(text):
    assert read([text], ("iso",))[0][0] is None


@pytest.mark.parametrize(
    ("text", "form", "instant"),
    [
        ("05/01/2024", "%d/%m/%Y", utc(2024, 1, 4, 23)),
        ("05/01/24", "%d/%m/%y", utc(2024, 1, 4, 23)),
        ("1/5/2024 3:05 PM", "%m/%d/%Y %I:%M %p", utc(2024, 1, 5, 14, 5)),
        ("05/Jan/2024:10:00:00 +0200", "%d/%b/%Y:%H:%M:%S %z", utc(2024, 1, 5, 8)),
        ("20240105", "%Y%m%d", utc(2024, 1, 4, 23)),
        ("1704448800", "unix", utc(2024, 1, 5, 10)),
        ("1704448800.5", "unix", utc(2024, 1, 5, 10, 0, 0, 500_000)),
        ("1704448800000", "unix_ms", utc(2024, 1, 5, 10)),
        ("31/31/2020", "%d/%m/%Y", None),
        ("05/01/2024 10:00", "%d/%m/%Y", None),
        ("soon", "unix", None),
    ],
)
def test_formats(text, form, instant):
    assert read([text], (form,))[0][0] == instant


def test_of_several_formats_the_first_that_fits_is_taken():
    texts = ["05/01/2024", "2024-01-05 10:00", "2024-01-05 10:00 +0000", "x"]
    formats = ("%d/%m/%Y", "iso", "%Y-%m-%d %H:%M %z")
    assert read(texts, formats) == [
        (utc(2024, 1, 4, 23), False),
        (utc(2024, 1, 5, 9), True),
        (utc(2024, 1, 5, 10), True),
        (None, False),
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(WALLS, min_size=1, max_size=5), st.sampled_from(["%d/%m/%Y", "%m/%d/%Y %H:%M", "%d.%m.%y", "%Y%m%d"]))
def test_a_guess_contains_the_format_that_was_used(walls, form):
    assert form in time_formats([wall.strftime(form) for wall in walls])


def test_a_day_above_twelve_decides_between_day_and_month():
    assert time_formats(["01/02/2024"]) == ["%d/%m/%Y", "%m/%d/%Y"]
    assert time_formats(["01/02/2024", "13/02/2024"]) == ["%d/%m/%Y"]
    assert time_formats(["2024-01-05", "2024-01-05 10:00:00 -0500"]) == ["iso"]
    assert time_formats(["tomorrow"]) == []


def test_one_hour_is_not_lost_at_the_end_of_summer():
    walls = [datetime(2024, 10, 27, 0) + timedelta(minutes=30 * i) for i in range(12)]  # noqa: DTZ001
    found = [instant for instant, _hours in read([wall.isoformat(sep=" ") for wall in walls], ("iso",))]
    assert found == sorted(found)
    assert found[-1] - found[0] == timedelta(hours=6.5)
