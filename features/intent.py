"""Intent signals: ordered patterns of events within a window, found whatever the order of arrival.

To add a signal, add a record to PATTERNS; its live feature follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from features.live_events import IN_TIME, AnyEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """At least `times` events of the given names; with `same`, all with one value of that property.

    An event whose property is missing, empty, or neither text nor a whole number has no value, and does not count.
    """

    events: tuple[str, ...]
    times: int = 1
    same: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Steps one after the other, the last event of all at most `window` after the first.

    Other events may lie between; an event serves one step only.
    """

    name: str
    steps: tuple[Step, ...]
    window: timedelta
    description: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event of a match."""

    message_id: str
    event: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern that was found, and the events that show it, in time order."""

    pattern: str
    evidence: tuple[Evidence, ...]


PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        name="reorder",
        steps=(
            Step(events=("Product Viewed",), times=3, same="category"),
            Step(events=("Order Viewed",)),
            Step(events=("Delivery Options Viewed",)),
        ),
        window=timedelta(minutes=30),
        description="Three products of one category viewed, then an earlier order, then the delivery options",
    ),
)


def latest_match(pattern: Pattern, events: Iterable[AnyEvent]) -> Match | None:
    """Find the match whose last event is the latest, in the order (occurred_at, message_id), whatever the order given.

    Of the matches that end with that event the evidence is one that starts the latest.
    """
    return match_in_order(pattern, sorted(events, key=IN_TIME))


def match_in_order(pattern: Pattern, events: Sequence[AnyEvent]) -> Match | None:
    """Find the latest match among events that are in the order (occurred_at, message_id)."""
    steps = [_Progress(step) for step in pattern.steps]
    takers: dict[str, list[tuple[_Progress, _Progress | None]]] = {}
    # The last step first, so that none builds on the event that the step before it takes now.
    for step, before in reversed(list(zip(steps, [None, *steps], strict=False))):
        for name in dict.fromkeys(step.names):
            takers.setdefault(name, []).append((step, before))
    latest: Chain = ()
    for event in events:
        for step, before in takers.get(event.event, ()):
            chain = step.take(event, () if before is None else before.done)
            if chain and step is steps[-1] and event.occurred_at - chain[0].occurred_at <= pattern.window:
                latest = chain
    if not latest:
        return None
    return Match(pattern.name, tuple(Evidence(e.message_id, e.event, e.occurred_at) for e in latest))


Chain = tuple[AnyEvent, ...]


class _Progress:
    """How far one step has come: for every value of its property, the chains that end in 1, 2, ... of its events.

    Kept is the chain that starts the latest: if that one is too long for the window, so is every other. As later events
    bring later starts, a new chain replaces the older one of the same length and value.
    """

    def __init__(self, step: Step) -> None:
        self.names, self.times, self.same = step.events, step.times, step.same
        self.open: dict[object, list[Chain | None]] = {}
        self.done: Chain | None = None

    def take(self, event: AnyEvent, before: Chain | None) -> Chain | None:
        """Take an event after a chain of the steps before, if there is one; return the chain that it completes."""
        value = None if self.same is None else event.properties.get(self.same)
        if before is None or (self.same is not None and (not isinstance(value, str | int) or value == "")):
            return None
        chains = self.open.setdefault(value, [None] * self.times)
        for length in range(self.times - 1, 0, -1):
            shorter = chains[length - 1]
            chains[length] = None if shorter is None else (*shorter, event)
        chains[0] = (*before, event)
        done = chains[-1]
        if done and (self.done is None or IN_TIME(done[0]) >= IN_TIME(self.done[0])):
            self.done = done
        return done
