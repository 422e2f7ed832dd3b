"""Days on which a shop had no order at all, for longer than is usual: a closure, or a hole in what was delivered.

What is missing from such days is the shop's, not the customers': a window that lies in them would teach that everybody
stayed away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import ibis
import numpy as np
from ibis import _

from facts.errors import counted
from facts.lake import Lake, Shop

LEAST_DAYS = 14
CHANCE = 0.001  # of calling usual days a silence, in a shop whose orders come at random
LONGEST_SHARE = 0.05  # of the pauses, the longest, that are not asked what is usual
MOST_AHEAD_SHARE = 0.1
MOST_BEHIND_SHARE = 0.5
LEAST_BEHIND_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The shop's days from `first_on` until before `until_on`, none of which has an order."""

    first_on: date
    until_on: date

    @property
    def days(self) -> int:
        """How many days it lasted."""
        return (self.until_on - self.first_on).days

    def hours_in(self, start: datetime, end: datetime, zone: ZoneInfo) -> float:
        """Return how many hours of a span of time lie in it."""
        first, until = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (self.first_on, self.until_on))
        return max(0.0, (min(end, until) - max(start, first)) / timedelta(hours=1))

    def __str__(self) -> str:
        last = self.until_on - timedelta(days=1)
        return f"no order from {self.first_on:%Y-%m-%d} to {last:%Y-%m-%d}, {counted(self.days, 'day')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silences:
    """A shop's silences in time order, and the days without an order beyond which one counts."""

    found: tuple[Silence, ...]
    usual_days: int
    zone: ZoneInfo

    def misleads(self, cutoff: datetime, *, horizon_days: int) -> bool:
        """Return whether a cutoff would teach what only a silence says.

        A tenth of the days ahead lies in silences, or half of the days behind: as many as ahead, but at least four
        weeks.
        """
        behind = max(horizon_days, LEAST_BEHIND_DAYS)
        ahead_hours = self._hours(cutoff, cutoff + timedelta(days=horizon_days))
        behind_hours = self._hours(cutoff - timedelta(days=behind), cutoff)
        return ahead_hours > MOST_AHEAD_SHARE * 24 * horizon_days or behind_hours > MOST_BEHIND_SHARE * 24 * behind

    def usable(self, cutoffs: Sequence[datetime], *, horizon_days: int) -> tuple[datetime, ...]:
        """Return the cutoffs that do not mislead."""
        return tuple(cutoff for cutoff in cutoffs if not self.misleads(cutoff, horizon_days=horizon_days))

    def longest_record_days(self, shop: Shop) -> int:
        """Return the days of the longest part of a shop's record that no silence cuts."""
        ends = [shop.observed_from, *(self._midnight(silence.until_on) for silence in self.found)]
        starts = [*(self._midnight(silence.first_on) for silence in self.found), shop.observed_until]
        return max((until - since).days for since, until in zip(ends, starts, strict=True))

    def notes(self, cutoffs: Sequence[datetime], *, horizon_days: int) -> tuple[str, ...]:
        """Say how many cutoffs are not usable, and by which rule; nothing where none is left out."""
        left_out = len(cutoffs) - len(self.usable(cutoffs, horizon_days=horizon_days))
        if not left_out:
            return ()
        behind = max(horizon_days, LEAST_BEHIND_DAYS)
        when = "; ".join(map(str, self.found))
        rule = (
            f"more than {MOST_AHEAD_SHARE:.0%} of the {horizon_days} days after or {MOST_BEHIND_SHARE:.0%} of the "
            f"{behind} days before lie there (in this shop, {self.usual_days} days without any order are unusual)"
        )
        return (f"{when}: {left_out} of {counted(len(cutoffs), 'cutoff')} left out, as {rule}",)

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)

    def _hours(self, start: datetime, end: datetime) -> float:
        return sum(silence.hours_in(start, end, self.zone) for silence in self.found)


def find_silences(lake: Lake) -> Silences:
    """Find a shop's silences, those before its first and after its last order included."""
    shop = lake.shop()
    with lake.connect() as connection:
        days = order_days(lake.table(connection, "orders"))
    return silences_of(days, shop)


def order_days(orders: ibis.Table) -> list[date]:
    """Return the shop's days with a sale, in time order."""
    sales = orders.filter(orders.superseded_at.isnull() & (orders.kind == "sale"))
    found = sales.select(day=_.local_on.cast("date")).distinct().order_by("day").execute()["day"]
    return [day.date() if isinstance(day, datetime) else day for day in found]


def silences_of(days: Sequence[date], shop: Shop) -> Silences:
    """Find the silences between days with orders.

    A pause counts if it lasts two weeks, and longer than any of so many pauses would by chance: pauses that come at
    random with mean m are longer than t with probability exp(-t / m), so the longest of n is longer than m log(n / p)
    with probability p. The mean leaves out the longest twentieth, at least one, lest a silence makes itself usual.
    """
    zone = ZoneInfo(shop.timezone)
    first, until = (moment.astimezone(zone).date() for moment in (shop.observed_from, shop.observed_until))
    before = [first - timedelta(days=1), *days]
    after = [*days, max([until, *(day + timedelta(days=1) for day in days[-1:])])]
    pauses = [Silence(first_on=a + timedelta(days=1), until_on=b) for a, b in zip(before, after, strict=True)]
    most = usual_pause_days([(b - a).days for a, b in pairwise(days)])
    return Silences(found=tuple(p for p in pauses if p.days >= most), usual_days=most, zone=zone)


def usual_pause_days(steps: Sequence[int]) -> int:
    """Return the days without an order that are a silence, from the days between one day with orders and the next."""
    kept = sorted(steps)[: len(steps) - max(1, round(LONGEST_SHARE * len(steps)))] if steps else []
    if not kept:
        return LEAST_DAYS
    return max(LEAST_DAYS, math.ceil(float(np.mean(kept)) * math.log(len(steps) / CHANCE)))
