"""Times as a shop writes them, on its own clock or with an offset: what is not written as the mapping says is no time.

Where the clocks are put back, a local time happens twice: the first is taken. Where they are put forward, a local time
does not happen: it is read as if the clocks had not been changed yet, an hour later on the new time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import ibis
from ibis.expr.types import BooleanValue, StringValue, TimestampValue

from facts.contracts import INSTANT
from facts.ingest.table.mapping import ISO, UNIX, UNIX_MS

WALL = "timestamp(6)"
DAY, CLOCK, OFFSET = r"\d{4}-\d{1,2}-\d{1,2}", r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?", r"Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?"
PLAIN_ISO, OFFSET_ISO = rf"^{DAY}(?:[T ]{CLOCK})?$", rf"^{DAY}[T ]{CLOCK}\s*(?:{OFFSET})$"
HOURS = re.compile(r"%-?[HIXc]")


def read_wall(text: StringValue, formats: tuple[str, ...]) -> TimestampValue:
    """Return what the wall clock showed, from a text without an offset in the first of some formats that fits."""
    walls = [_wall_of(text, form) for form in formats if not _is_aware(form)]
    return ibis.coalesce(*walls) if walls else ibis.null(WALL)


def read_instant(text: StringValue, formats: tuple[str, ...]) -> TimestampValue:
    """Return the instant that a text with an offset tells, or one that counts from 1970."""
    instants = [_instant_told(text, form) for form in formats if _is_aware(form) or form == ISO]
    return ibis.coalesce(*instants) if instants else ibis.null(INSTANT)


def tells_hours(text: StringValue, formats: tuple[str, ...]) -> BooleanValue:
    """Return whether a text tells an hour, in the first format that fits, and not a day alone."""
    hours = [text.contains(":") if form == ISO else ibis.literal(_has_hours(form)) for form in formats]
    fits = [_fits(text, form) for form in formats]
    return hours[0] if len(formats) == 1 else ibis.cases(*zip(fits, hours, strict=True), else_=False)


def instant_of(wall: TimestampValue, zone: str) -> TimestampValue:
    """Return the instant at which a clock on the wall shows a time; of two the first."""
    instant = _instant_of(zone, wall)
    for size in overlaps(zone):
        earlier = instant - ibis.interval(seconds=int(size.total_seconds()))
        instant = ibis.ifelse(_wall_at(zone, earlier) == wall, earlier, instant)
    return instant


def wall_at(instant: TimestampValue, zone: str) -> TimestampValue:
    """Return what a clock on the wall shows at an instant."""
    return _wall_at(zone, instant)


@lru_cache
def overlaps(zone: str) -> tuple[timedelta, ...]:
    """Return by how much the clocks of a zone were ever put back since 1980."""
    clock = ZoneInfo(zone)
    days = [datetime(1980, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(366 * 70)]
    offsets = [day.astimezone(clock).utcoffset() or timedelta() for day in days]
    back = {before - after for before, after in pairwise(offsets) if after < before}
    return tuple(sorted(back))


def _is_aware(form: str) -> bool:
    return form in {UNIX, UNIX_MS} or "%z" in form


def _has_hours(form: str) -> bool:
    return form in {UNIX, UNIX_MS} or bool(HOURS.search(form))


def _fits(text: StringValue, form: str) -> BooleanValue:
    told = _instant_told(text, form).notnull()
    return told if _is_aware(form) else _wall_of(text, form).notnull() | (told if form == ISO else False)


def _wall_of(text: StringValue, form: str) -> TimestampValue:
    if form == ISO:
        return ibis.ifelse(text.re_search(PLAIN_ISO), text.try_cast(WALL), None)
    return _parse_wall(text, form)


def _instant_told(text: StringValue, form: str) -> TimestampValue:
    if form == ISO:
        bare = text.re_replace(r"\s*(Z|UTC|GMT)$", "Z").re_replace(r"\s+([+-])", r"\1")
        return ibis.ifelse(text.re_search(OFFSET_ISO), bare.try_cast(INSTANT), None)
    if form in {UNIX, UNIX_MS}:
        scale = 1_000 if form == UNIX_MS else 1_000_000
        return _instant_from((text.try_cast("decimal(24, 6)") * scale).try_cast("int64"))
    return _parse_instant(text, form)


@ibis.udf.scalar.builtin(name="timezone", signature=(("string", WALL), INSTANT))
def _instant_of(zone, wall): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="timezone", signature=(("string", INSTANT), WALL))
def _wall_at(zone, instant): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="try_strptime", signature=(("string", "string"), WALL))
def _parse_wall(text, form): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="try_strptime", signature=(("string", "string"), INSTANT))
def _parse_instant(text, form): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="make_timestamptz", signature=(("int64",), INSTANT))
def _instant_from(micros): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
