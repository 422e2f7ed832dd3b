"""When messages reach the shop: mostly within seconds, some hours or days late, some of them twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.campaigns import NONE
from simulation.clock import DAY, HOUR, MILLISECOND, SECOND, Ints
from simulation.events import Events, Kind
from simulation.orders import CANCELLED, RETURN, SALE, Orders
from simulation.settings import Settings

PROMPT_LOG_SD = 0.7
PROMPT_MEDIAN_SECONDS = 0.8
MOST_PROMPT_SECONDS = 60.0
LATE_HOURS = (1.0, 24.0)
LATE_DAYS = (1.0, 7.0)
AGAIN_SECONDS = (1.0, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """When each event is received, and the second time of those that are delivered twice (NONE for the others)."""

    at: Ints
    again_at: Ints


def deliver(rng: np.random.Generator, events: Events, orders: Orders, settings: Settings) -> Received:
    """Draw when each event is received; a return is never received before its sale."""
    count = len(events)
    draw = rng.random(count)
    prompt = np.exp(np.log(PROMPT_MEDIAN_SECONDS) + PROMPT_LOG_SD * rng.standard_normal(count))
    delay = np.minimum(prompt, MOST_PROMPT_SECONDS) * SECOND
    hours, days = rng.uniform(*LATE_HOURS, count) * HOUR, rng.uniform(*LATE_DAYS, count) * DAY
    late_rate = settings.late_days_rate + settings.late_hours_rate
    delay = np.where(draw < late_rate, hours, delay)
    delay = np.where(draw < settings.late_days_rate, days, delay)
    at = _after_sale(events.at + _whole(delay), events, orders)
    again = at + _whole(rng.uniform(*AGAIN_SECONDS, count) * SECOND)
    is_twice = rng.random(count) < settings.duplicate_rate
    return Received(at=at, again_at=np.where(is_twice, again, NONE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the shop has learned of each order by the end of its record."""

    received_at: Ints
    kind: Ints
    is_known: np.ndarray[tuple[int], np.dtype[np.bool_]]


def known_orders(events: Events, received: Received, orders: Orders, until: int) -> Known:
    """Return what is known of every order: a cancelled one is a sale to a shop that has not heard of it."""
    count = len(orders.customer)
    told = {kind: _received_by_order(events, received, kind, count) for kind in _TELLING}
    is_cancelled = (orders.kind == CANCELLED) & (told[Kind.CANCELLED] < until)
    received_at = np.where(orders.kind == RETURN, told[Kind.REFUNDED], told[Kind.COMPLETED])
    received_at = np.where(is_cancelled, np.maximum(told[Kind.CANCELLED], received_at), received_at)
    kind = np.where((orders.kind == CANCELLED) & ~is_cancelled, SALE, orders.kind)
    return Known(received_at=received_at, kind=kind, is_known=(orders.at < until) & (received_at < until))


_TELLING = (Kind.COMPLETED, Kind.CANCELLED, Kind.REFUNDED)
_NEVER = np.iinfo(np.int64).max


def _whole(delay: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Ints:
    return np.maximum(np.round(delay / MILLISECOND), 1).astype(np.int64) * MILLISECOND


def _received_by_order(events: Events, received: Received, kind: Kind, order_count: int) -> Ints:
    at = np.full(order_count, _NEVER)
    rows = np.flatnonzero(events.kind == kind)
    at[events.order[rows]] = received.at[rows]
    return at


def _after_sale(at: Ints, events: Events, orders: Orders) -> Ints:
    sold = np.full(len(orders.customer), NONE)
    rows = np.flatnonzero(events.kind == Kind.COMPLETED)
    sold[events.order[rows]] = at[rows]
    rows = np.flatnonzero(events.kind == Kind.REFUNDED)
    at = at.copy()
    at[rows] = np.maximum(at[rows], sold[orders.sale[events.order[rows]]] + MILLISECOND)
    return at
