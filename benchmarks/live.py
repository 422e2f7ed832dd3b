"""How long the live features of a customer take, in process."""

from __future__ import annotations

import random
import statistics
import timeit
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from benchmarks.figures import Figure
from features.live import LIVE, SNAPSHOT_COLUMNS, LiveEvent, SnapshotRow, live_features, live_frame

GOAL_MILLISECONDS = 0.3
GOAL_EVENTS = 200
GOAL_CASE = "200 events of some days"
CALLS = 1_000
FRAME_ROWS = 100_000
NOON = datetime(2025, 1, 15, 12, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
ROW = SnapshotRow(NOON - timedelta(hours=12), dict.fromkeys(SNAPSHOT_COLUMNS, 3.5))
# What a customer does, and how often of a hundred times.
MIX = {
    "Product Viewed": 40, "Product List Viewed": 15, "Page": 15, "Product Added": 8, "Product Removed": 3,
    "Products Searched": 6, "Order Viewed": 4, "Delivery Options Viewed": 4, "Campaign Received": 2.5,
    "Order Completed": 1, "Order Refunded": 0.5, "Support Contacted": 1,
}  # fmt: skip


def bench_live(_work: Path) -> list[Figure]:
    """Time one call of the whole function, and a frame of many customers as batch scoring asks for it."""
    cases = [
        _time("no events", []),
        _time(GOAL_CASE, history(GOAL_EVENTS, mean_minutes=1440)),
        _time("200 events of half an hour", history(GOAL_EVENTS, mean_minutes=10)),
        _time("2,000 events of some days", history(10 * GOAL_EVENTS, mean_minutes=1440)),
    ]
    frame = Figure(
        part="live",
        subject="a frame, a tenth of the customers with 20 events",
        per_second=bench_frame(),
        note=f"{FRAME_ROWS:,} customers",
    )
    return [*cases, frame]


def bench_frame(*, rows: int = FRAME_ROWS, share_with_events: float = 0.1) -> float:
    """Return how many rows a second `live_frame` answers, a tenth of the customers having 20 events."""
    customers = [f"c{i}" for i in range(rows)]
    table = pd.DataFrame({"customer_id": customers, "at": pd.Timestamp(NOON), "cutoff": pd.Timestamp(ROW.cutoff)})
    table[list(SNAPSHOT_COLUMNS)] = np.float32(3.5)
    told = history(20, mean_minutes=1440)
    events = dict.fromkeys(customers[: int(rows * share_with_events)], told)
    seconds = _seconds(lambda: live_frame(table, events, zone=ZONE), calls=1)[0]
    return rows / seconds


def history(count: int, *, mean_minutes: float, seed: int = 1) -> list[LiveEvent]:
    """Return a customer's events, by age exponential, in the order of arrival."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    names = chance.choices(list(MIX), weights=list(MIX.values()), k=count)
    ages = sorted((timedelta(minutes=chance.expovariate(1 / mean_minutes)) for _ in range(count)), reverse=True)
    return [
        LiveEvent(
            f"{chance.getrandbits(128):032x}",
            name,
            NOON - age,
            NOON - age + min(age / 2, timedelta(seconds=2)),
            _properties(name, i, chance),
        )
        for i, (name, age) in enumerate(zip(names, ages, strict=True))
    ]


def _properties(name: str, number: int, chance: random.Random) -> dict[str, object]:
    product = {"product_id": f"p{chance.randrange(50)}", "price": 9.9, "quantity": 1}
    if name.startswith("Order "):
        return {"order_id": f"o{number // 40}", "revenue": 29.7, "products": [product] * 3}
    return product | {"category": f"c{chance.randrange(6)}"}


def _time(case: str, events: Sequence[LiveEvent]) -> Figure:
    seconds = _seconds(lambda: live_features(ROW, events, at=NOON, zone=ZONE), calls=CALLS)
    median, has_goal = statistics.median(seconds), case == GOAL_CASE
    return Figure(
        part="live",
        subject=case,
        seconds=median,
        repeats=CALLS,
        note=f"{len(LIVE)} features, p99 {1000 * statistics.quantiles(seconds, n=100)[98]:.2f} ms",
        goal=f"under {GOAL_MILLISECONDS:g} ms" if has_goal else "",
        is_met=1000 * median < GOAL_MILLISECONDS if has_goal else None,
    )


def _seconds(call: Callable[[], object], *, calls: int) -> list[float]:
    return timeit.repeat(call, number=1, repeat=calls)
