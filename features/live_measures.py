"""The kinds of measure a live feature can be: records, each one figure of what is known of a customer at an instant.

Every window is [instant - window, instant). A measure that reads the snapshot names its columns in `snapshot`, and
answers for many quiet customers at once (`features.live_many`) what it answers for each.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import timedelta
from math import nan
from typing import Literal

import numpy as np

from features.intent import Pattern
from features.live_events import OCCURRED
from features.live_known import Known, within
from features.live_many import Figures, Many
from features.live_orders import ADDED, REMOVED, open_cart_amount

KnownFigure = Literal[
    "order_recency_days", "customer_tenure_days", "return_recency_days", "visit_recency_days",
    "order_count_since_snapshot", "spend_amount_since_snapshot", "local_hour", "local_weekday",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure that `Known` has by this name."""

    name: KnownFigure
    snapshot: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

    def of(self, known: Known) -> float:
        """Look it up."""
        figure: float = getattr(known, self.name)
        return figure

    def of_many(self, many: Many) -> Figures:
        """Look it up; of the snapshot's figures only."""
        figures: Figures = getattr(many, self.name)
        return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A figure of the snapshot, as it stands there."""

    column: str
    events: tuple[str, ...] = ()

    @property
    def snapshot(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def of(self, known: Known) -> float:
        """Look it up; NaN for a customer without a snapshot."""
        return known.snapshot(self.column)

    def of_many(self, many: Many) -> Figures:
        """Look it up."""
        return many.snapshot(self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """One measure over another; missing where the second is missing or zero."""

    part: Figure | Held
    whole: Figure | Held
    events: tuple[str, ...] = ()

    @property
    def snapshot(self) -> tuple[str, ...]:
        """The columns of both."""
        return (*self.part.snapshot, *self.whole.snapshot)

    def of(self, known: Known) -> float:
        """Divide."""
        whole = self.whole.of(known)
        return self.part.of(known) / whole if whole else nan

    def of_many(self, many: Many) -> Figures:
        """Divide."""
        whole = self.whole.of_many(many)
        return np.divide(self.part.of_many(many), whole, out=np.full_like(whole, nan), where=whole != 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysSince:
    """Days since an event, of the snapshot or known since."""

    column: str
    event: str

    @property
    def snapshot(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def events(self) -> tuple[str, ...]:
        """The event."""
        return (self.event,)

    def of(self, known: Known) -> float:
        """Take the smaller one; NaN where neither is known."""
        return known.days_since_event(self.event, column=self.column)

    def of_many(self, many: Many) -> Figures:
        """Take the smaller one; NaN where neither is known."""
        return many.days_since_event(self.event, column=self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCount:
    """How many events of one name occurred in the window."""

    event: str
    window: timedelta
    snapshot: tuple[str, ...] = ()

    @property
    def events(self) -> tuple[str, ...]:
        """The event."""
        return (self.event,)

    def of(self, known: Known) -> float:
        """Count them."""
        events = known.by_name.get(self.event)
        return float(len(events) - bisect_left(events, known.at - self.window, key=OCCURRED)) if events else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCount:
    """How many sessions had browsing in the window."""

    window: timedelta
    snapshot: tuple[str, ...] = ()
    events: tuple[str, ...] = ()

    def of(self, known: Known) -> float:
        """Count them."""
        return float(known.sessions.count(since=known.at - self.window))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCart:
    """What was put into the cart in the window, and neither taken out nor followed by an order, at its prices."""

    window: timedelta
    snapshot: tuple[str, ...] = ("order_recency_days",)
    events: tuple[str, ...] = (ADDED, REMOVED)

    def of(self, known: Known) -> float:
        """Add it up."""
        if ADDED not in known.by_name:
            return 0.0
        return open_cart_amount(within(known.cart_events, known.at - self.window))

    def of_many(self, many: Many) -> Figures:
        """Return zeros: who put something into a cart is not quiet."""
        return np.zeros(len(many))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSignal:
    """Whether a pattern ended within its window: 1 or 0."""

    pattern: Pattern
    snapshot: tuple[str, ...] = ()

    @property
    def events(self) -> tuple[str, ...]:
        """The events of its steps."""
        return tuple(name for step in self.pattern.steps for name in step.events)

    def of(self, known: Known) -> float:
        """Look for it."""
        return float(known.match(self.pattern) is not None)


OfSnapshot = Figure | Held | Over | DaysSince | OpenCart
"""Measures that may read the snapshot: those that do tell their figures of many quiet customers at once."""
LiveMeasure = Figure | Held | Over | DaysSince | EventCount | SessionCount | OpenCart | IntentSignal
