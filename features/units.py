"""A value in words, by its unit: "12 days", "1 order", "310 USD", "44 %"."""

from __future__ import annotations

from collections.abc import Callable, Mapping

HOURS_A_DAY = 24
_WHOLE_FROM = 100  # of amounts from here on the cents say nothing
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def said(value: float, unit: str, *, currency: str) -> str:
    """Say a value.

    Parameters
    ----------
    unit
        `days`, `amount` (in `currency`), `percent` (of a rate or ratio), `decimal`, `number`, `clock` (of an hour),
        `weekday`, `flag`, `count` alone, or `count` with a noun: `count order`, `count category/categories`.
    """
    kind, _, noun = unit.partition(" ")
    if kind == "amount":
        return f"{_plain(value, digits=0 if abs(value) >= _WHOLE_FROM else 2)} {currency}"
    return _plain(value, digits=0) + _noun(round(value), noun) if kind == "count" else _SAID[kind](value)


def _days(value: float) -> str:
    if value >= 1:
        return _plain(value, digits=0) + _noun(round(value), "day")
    hours = int(value * HOURS_A_DAY)
    return f"{hours}{_noun(hours, 'hour')}" if hours >= 1 else "less than an hour"


def _clock(value: float) -> str:
    hours, minutes = divmod(round(value * 60) % (HOURS_A_DAY * 60), 60)
    return f"{hours:02d}:{minutes:02d}"


def _plain(value: float, *, digits: int) -> str:
    """Write a number; one without cents needs none, and nothing is minus zero."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:,.{0 if rounded == int(rounded) else digits}f}"


def _noun(count: int, noun: str) -> str:
    if not noun:
        return ""
    one, _, many = noun.partition("/")
    return f" {one if count == 1 else many or f'{one}s'}"


_SAID: Mapping[str, Callable[[float], str]] = {
    "days": _days,
    "percent": lambda value: f"{_plain(100 * value, digits=0)} %",
    "decimal": lambda value: _plain(value, digits=1),
    "number": lambda value: f"{value:,.4g}",
    "clock": _clock,
    "weekday": lambda value: _WEEKDAYS[int(value) % len(_WEEKDAYS)],
    "flag": lambda value: "yes" if value else "no",
}
