"""What is known of one customer at an instant: the last snapshot's row, and the events until now."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from math import isnan, nan

from facts.carries import BROWSING_EVENTS
from facts.ecommerce import ORDER_COMPLETED
from facts.errors import MissingColumns, RegularsError
from features.intent import Match, Pattern, match_in_order
from features.live_events import IN_TIME, OCCURRED, AnyEvent, known_events
from features.live_orders import CART_EVENTS, LiveOrders, live_orders
from features.sessions import Sessions

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
BROWSING = frozenset(BROWSING_EVENTS)


class LaterSnapshot(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A snapshot that was not there yet at the instant that is asked for."""

    def __init__(self, cutoff: datetime, at: datetime) -> None:
        super().__init__(
            f"the snapshot of {cutoff.isoformat()} is later than the instant asked for, {at.isoformat()}; "
            "give the last snapshot at or before it"
        )


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One customer's row of the snapshot at `cutoff`: the catalog's features by name, missing as NaN."""

    cutoff: datetime
    values: Mapping[str, float]


class Known:
    """One customer at one instant; a figure is worked out when it is first asked for.

    Raises
    ------
    LaterSnapshot
        The snapshot's cutoff is after the instant.
    """

    def __init__(self, row: SnapshotRow | None, events: Iterable[AnyEvent], *, at: datetime, zone: tzinfo) -> None:
        if row is not None and row.cutoff > at:
            raise LaterSnapshot(row.cutoff, at)
        self.row, self.at, self.zone = row, at, zone
        self.events = known_events(events, at=at)
        self.by_name: dict[str, list[AnyEvent]] = {}
        for event in self.events:
            self.by_name.setdefault(event.event, []).append(event)
        self._matches: dict[str, Match | None] = {}

    def snapshot(self, column: str) -> float:
        """Return a figure of the snapshot, NaN for a customer whom it does not hold."""
        if self.row is None:
            return nan
        try:
            return float(self.row.values[column])
        except KeyError:
            raise MissingColumns("the snapshot row", [column], known=list(self.row.values)) from None

    def match(self, pattern: Pattern) -> Match | None:
        """Return the latest match of a pattern whose last event lies within the pattern's window before the instant."""
        if pattern.name not in self._matches:
            asked = within(self.events, self.at - 2 * pattern.window)  # the last event in one window, the first before
            found = match_in_order(pattern, asked)
            is_recent = found is not None and found.evidence[-1].occurred_at >= self.at - pattern.window
            self._matches[pattern.name] = found if is_recent else None
        return self._matches[pattern.name]

    @cached_property
    def orders(self) -> LiveOrders:
        """Return the orders that the snapshot does not hold."""
        return live_orders(self.by_name, cutoff=None if self.row is None else self.row.cutoff)

    @cached_property
    def sessions(self) -> Sessions:
        """Return the sessions of browsing."""
        return Sessions(event.occurred_at for event in self.events if event.event in BROWSING)

    @cached_property
    def cart_events(self) -> list[AnyEvent]:
        """Return what was put into the cart and taken out of it since the last order that is known."""
        moved = [event for event in self.events if event.event in CART_EVENTS]
        if orders := self.by_name.get(ORDER_COMPLETED):
            moved = moved[bisect_right(moved, IN_TIME(orders[-1]), key=IN_TIME) :]
        days = self.snapshot("order_recency_days")
        if self.row is None or isnan(days):
            return moved
        return moved[bisect_right(moved, self.row.cutoff - days * DAY, key=OCCURRED) :]

    @cached_property
    def order_recency_days(self) -> float:
        """Days since the last order, of the snapshot or known since."""
        held = self._days_held("order_recency_days")
        return min((*held, *(self._days_since(time) for time in self.orders.times[-1:])), default=nan)

    @cached_property
    def customer_tenure_days(self) -> float:
        """Days since the first order, of the snapshot or known since."""
        held = self._days_held("customer_tenure_days")
        return max((*held, *(self._days_since(time) for time in self.orders.times[:1])), default=nan)

    @property
    def return_recency_days(self) -> float:
        """Days since the last return, of the snapshot or known since."""
        held = self._days_held("return_recency_days")
        return min((*held, *(self._days_since(time) for time in self.orders.return_times[-1:])), default=nan)

    @property
    def visit_recency_days(self) -> float:
        """Days since the last browsing event."""
        times = self.sessions.times
        return self._days_since(times[-1]) if times else nan

    @property
    def order_count_since_snapshot(self) -> float:
        """Orders that the snapshot does not hold."""
        return float(len(self.orders.times))

    @property
    def spend_amount_since_snapshot(self) -> float:
        """What these orders came to, less the refunds known since the snapshot."""
        return self.orders.net_amount

    @property
    def local_hour(self) -> float:
        """The hour on the shop's clock."""
        local = self.at.astimezone(self.zone)
        clock = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return clock / HOUR

    @property
    def local_weekday(self) -> float:
        """The day of the week on the shop's clock, Monday = 0."""
        return float(self.at.astimezone(self.zone).weekday())

    def days_since_event(self, event: str, *, column: str) -> float:
        """Return the days since the last event of a name, known or held by a column of the snapshot."""
        times = [known.occurred_at for known in self.by_name.get(event, ())[-1:]]
        return min((*self._days_held(column), *(self._days_since(time) for time in times)), default=nan)

    def _days_since(self, time: datetime) -> float:
        return (self.at - time) / DAY

    def _days_held(self, column: str) -> tuple[float, ...]:
        """Return the days that the snapshot gives and its age, none where it knows none."""
        days = self.snapshot(column)
        return () if self.row is None or isnan(days) else (days + self._days_since(self.row.cutoff),)


def within(events: Sequence[AnyEvent], since: datetime) -> Sequence[AnyEvent]:
    """Return those of the events, in time order, that occurred at or after an instant."""
    return events[bisect_left(events, since, key=OCCURRED) :]
