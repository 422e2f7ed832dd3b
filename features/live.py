"""Features of this minute: one pure function of a snapshot row, events and an instant, the same offline and online.

To add a feature, add a record to LIVE; to add an intent signal, add one to `features.intent.PATTERNS`.
"""
# ruff: noqa: E501 - one feature, one line

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Literal

import numpy as np

from facts.carries import BROWSING_EVENTS
from facts.ecommerce import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED
from facts.errors import MissingColumns
from features.intent import PATTERNS, Evidence, Match, Pattern
from features.live_events import OCCURRED, REACH, AnyEvent, LiveEvent
from features.live_known import Known, LaterSnapshot, SnapshotRow
from features.live_measures import (
    DaysSince,
    EventCount,
    Figure,
    Held,
    IntentSignal,
    LiveMeasure,
    OpenCart,
    Over,
    SessionCount,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "LIVE",
    "LIVE_EVENTS",
    "LIVE_NAMES",
    "REACH",
    "SNAPSHOT_COLUMNS",
    "AnyEvent",
    "Evidence",
    "LaterSnapshot",
    "LiveEvent",
    "LiveFeature",
    "LiveRow",
    "Match",
    "SnapshotRow",
    "live_features",
    "live_frame",
    "live_matrix",
]  # fmt: skip

LiveUnit = Literal["count", "days", "amount", "rate", "ratio", "hour", "weekday", "flag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFeature:
    """One thing that is known about a customer at any instant.

    `window` looks back from the instant; None means over all that is known, which is REACH for events. `needs` names
    what the shop's facts must carry (`Shop.has`). `replaces` is the feature of the snapshot that this one keeps up to
    date: models are given this one instead.
    """

    name: str
    unit: LiveUnit
    description: str
    measure: LiveMeasure
    needs: tuple[str, ...] = ()
    window: timedelta | None = None
    replaces: str | None = None
    theme: str = "live"


@dataclass(frozen=True, slots=True)
class LiveRow:
    """The live features of one customer at one instant, and the events that show an intent.

    `vector` is in the order of the features asked for, in their units, every figure exactly a float32; NaN where nothing
    is known.
    """

    vector: tuple[float, ...]
    matches: tuple[Match, ...]


WINDOWS: Mapping[str, tuple[timedelta, str]] = {
    "30m": (timedelta(minutes=30), "the last 30 minutes"),
    "1d": (timedelta(days=1), "the last day"),
    "7d": (timedelta(days=7), "the last 7 days"),
}
RECENCY = Figure(name="order_recency_days", snapshot=("order_recency_days",))
TENURE = Figure(name="customer_tenure_days", snapshot=("customer_tenure_days",))
BROWSING = ("browsing",)


def _windowed(
    stem: str, unit: LiveUnit, description: str, measure: Callable[[timedelta], LiveMeasure]
) -> tuple[LiveFeature, ...]:
    return tuple(
        LiveFeature(
            name=f"{stem}_{label}",
            unit=unit,
            description=f"{description} in {said}",
            measure=measure(window),
            needs=BROWSING,
            window=window,
        )
        for label, (window, said) in WINDOWS.items()
    )


def _counted(stem: str, description: str, event: str) -> tuple[LiveFeature, ...]:
    return _windowed(stem, "count", description, lambda window: EventCount(event=event, window=window))


def _since(stem: str, description: str, event: str, *, needs: tuple[str, ...]) -> LiveFeature:
    measure = DaysSince(column=f"{stem}_days", event=event)
    name = f"{stem}_live_days"
    return LiveFeature(
        name=name, unit="days", description=description, measure=measure, needs=needs, replaces=measure.column
    )


def _intent(pattern: Pattern) -> LiveFeature:
    return LiveFeature(
        name=f"intent_{pattern.name}_{pattern.window // timedelta(minutes=1)}m",
        unit="flag",
        description=f"Whether the customer did this, up to a moment ago: {pattern.description[0].lower()}{pattern.description[1:]}",
        measure=IntentSignal(pattern=pattern),
        needs=BROWSING,
        window=pattern.window,
    )


LIVE: tuple[LiveFeature, ...] = (
    LiveFeature(name="order_recency_live_days", unit="days", description="Days since the last order, to the minute", measure=RECENCY, replaces="order_recency_days"),
    LiveFeature(name="customer_tenure_live_days", unit="days", description="Days since the first order, to the minute", measure=TENURE, replaces="customer_tenure_days"),
    LiveFeature(name="order_due_ratio_live_365d", unit="ratio", description="Days since the last order over the own mean gap (1 = due)", measure=Over(part=RECENCY, whole=Held(column="visit_gap_mean_365d")), replaces="order_due_ratio_365d"),
    LiveFeature(name="order_due_ratio_live_90d", unit="ratio", description="Days since the last order over the own mean gap of 90 days", measure=Over(part=RECENCY, whole=Held(column="visit_gap_mean_90d")), replaces="order_due_ratio_90d"),
    LiveFeature(name="order_overdue_ratio_live_365d", unit="ratio", description="Days since the last order over the own longest gap", measure=Over(part=RECENCY, whole=Held(column="visit_gap_max_365d")), replaces="order_overdue_ratio_365d"),
    LiveFeature(name="tenure_recency_ratio_live", unit="rate", description="Days since the last order over days since the first", measure=Over(part=RECENCY, whole=TENURE), replaces="tenure_recency_ratio"),
    _since("campaign_recency", "Days since the last campaign was received", "Campaign Received", needs=("campaigns",)),
    _since("redemption_recency", "Days since a campaign coupon was last redeemed", "Coupon Applied", needs=("redemptions",)),
    LiveFeature(name="return_recency_live_days", unit="days", description="Days since the last return", measure=Figure(name="return_recency_days", snapshot=("return_recency_days",)), needs=("returns",), replaces="return_recency_days"),
    LiveFeature(name="visit_recency_live_days", unit="days", description="Days since the customer last browsed, at most 30", measure=Figure(name="visit_recency_days"), needs=BROWSING, window=REACH),
    LiveFeature(name="order_count_since_snapshot", unit="count", description="Orders that the snapshot does not hold yet", measure=Figure(name="order_count_since_snapshot")),
    LiveFeature(name="spend_amount_since_snapshot", unit="amount", description="Net spend that the snapshot does not hold yet", measure=Figure(name="spend_amount_since_snapshot")),
    *_windowed("session_count", "count", "Sessions of browsing", lambda window: SessionCount(window=window)),
    *_counted("product_view_count", "Products viewed", "Product Viewed"),
    *_counted("cart_add_count", "Products put into the cart", "Product Added"),
    *_windowed("cart_open_amount", "amount", "Price of what was put into the cart and still lies there", lambda window: OpenCart(window=window)),
    *_counted("search_count", "Searches", "Products Searched"),
    *_counted("support_contact_count", "Contacts with support", "Support Contacted"),
    LiveFeature(name="local_hour_live", unit="hour", description="Hour of the day on the shop's clock, with its fraction", measure=Figure(name="local_hour")),
    LiveFeature(name="local_weekday_live", unit="weekday", description="Day of the week on the shop's clock, Monday = 0", measure=Figure(name="local_weekday")),
    *(_intent(pattern) for pattern in PATTERNS),
)  # fmt: skip

LIVE_NAMES: tuple[str, ...] = tuple(feature.name for feature in LIVE)
LIVE_EVENTS: frozenset[str] = frozenset(
    {
        *BROWSING_EVENTS,
        ORDER_COMPLETED,
        ORDER_REFUNDED,
        ORDER_CANCELLED,
        *(name for f in LIVE for name in f.measure.events),
    }
)
"""The events that live features look at; others need not be kept for them."""
SNAPSHOT_COLUMNS: tuple[str, ...] = tuple(dict.fromkeys(name for f in LIVE for name in f.measure.snapshot))
"""The snapshot features that live features are made of: what a row must hold."""


def live_features(
    row: SnapshotRow | None,
    events: Iterable[AnyEvent],
    *,
    at: datetime,
    zone: tzinfo,
    features: Sequence[LiveFeature] = LIVE,
) -> LiveRow:
    """Answer what is known of one customer at an instant.

    Parameters
    ----------
    row
        The customer's row of the last snapshot at or before the instant; None where there is none.
    events
        The customer's events in any order, at least those of the last REACH. Others may be among them: an event counts
        when it was received before the instant and occurred in [at - REACH, at), and every message counts once. Orders
        count when neither their event nor a file told of them before the row's cutoff: the others are in the row.
    at
        The instant, aware.
    zone
        The shop's time zone.

    Raises
    ------
    LaterSnapshot
        The row is of a snapshot after the instant.
    MissingColumns
        The row lacks one of SNAPSHOT_COLUMNS.
    """
    known = Known(row, events, at=at, zone=zone)
    values = [feature.measure.of(known) for feature in features]
    patterns = [feature.measure.pattern for feature in features if isinstance(feature.measure, IntentSignal)]
    matches = tuple(match for pattern in patterns if (match := known.match(pattern)) is not None)
    return LiveRow(tuple(np.array(values, dtype=np.float32).tolist()), matches)


def live_frame(
    rows: pd.DataFrame,
    events: Mapping[str, Sequence[AnyEvent]],
    *,
    zone: tzinfo,
    features: Sequence[LiveFeature] = LIVE,
) -> pd.DataFrame:
    """Answer `live_features` for many customers and instants.

    Parameters
    ----------
    rows
        One row per question: customer_id, the instant `at`, the `cutoff` of the snapshot known then (missing where
        there is none), and the snapshot's columns that the features are made of.
    events
        The events of every customer who has any.

    Returns
    -------
    The features as float32 columns, in the given order, on the index of `rows`.

    Raises
    ------
    LaterSnapshot, MissingColumns
        As in `live_features`.
    """
    import pandas as pd

    histories = {customer: sorted(events[customer], key=OCCURRED) for customer in events}
    customers, instants, held = zip(*_questions(rows, features), strict=True) if len(rows) else ((), (), ())
    asked = [between(histories.get(c, ()), at - REACH, at) for c, at in zip(customers, instants, strict=True)]
    answers = live_matrix(held, asked, at=instants, zone=zone, features=features)
    return pd.DataFrame(answers, index=rows.index, columns=[feature.name for feature in features])


def live_matrix(
    rows: Sequence[SnapshotRow | None],
    events: Sequence[Collection[AnyEvent]],
    *,
    at: Sequence[datetime],
    zone: tzinfo,
    features: Sequence[LiveFeature] = LIVE,
) -> NDArray[np.float32]:
    """Answer `live_features` for many customers, each at an instant of its own, as (customers, features) float32.

    Without events only what is made of the snapshot has to be worked out.
    """
    unknown: dict[datetime, LiveRow] = {}  # what is answered where neither events nor a snapshot are known
    on_snapshot = [place for place, feature in enumerate(features) if feature.measure.snapshot]
    few = [features[place] for place in on_snapshot]
    answers = np.empty((len(rows), len(features)), dtype=np.float32)
    for place, (row, known, instant) in enumerate(zip(rows, events, at, strict=True)):
        if known:
            answers[place] = live_features(row, known, at=instant, zone=zone, features=features).vector
            continue
        if instant not in unknown:
            unknown[instant] = live_features(None, (), at=instant, zone=zone, features=features)
        answers[place] = unknown[instant].vector
        if row is not None:
            answers[place, on_snapshot] = live_features(row, (), at=instant, zone=zone, features=few).vector
    return answers


def _questions(
    rows: pd.DataFrame, features: Sequence[LiveFeature]
) -> Iterator[tuple[str, datetime, SnapshotRow | None]]:
    columns = list(dict.fromkeys(name for feature in features for name in feature.measure.snapshot))
    asked = ["customer_id", "at", "cutoff"]
    if missing := [name for name in (*asked, *columns) if name not in rows.columns]:
        raise MissingColumns("the table of rows", missing, known=list(rows.columns))
    figures = rows[columns].to_numpy(dtype=np.float64, na_value=np.nan).tolist()
    heads = zip(*(rows[name] for name in asked), rows["cutoff"].notna(), strict=True)
    for (customer, at, cutoff, has_snapshot), values in zip(heads, figures, strict=True):
        row = SnapshotRow(cutoff.to_pydatetime(), dict(zip(columns, values, strict=True))) if has_snapshot else None
        yield customer, at.to_pydatetime(), row


def between(events: Sequence[AnyEvent], since: datetime, until: datetime) -> Sequence[AnyEvent]:
    """Return the events, given in time order, that occurred in [since, until)."""
    return events[bisect_left(events, since, key=OCCURRED) : bisect_left(events, until, key=OCCURRED)]
