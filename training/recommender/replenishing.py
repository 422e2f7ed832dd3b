"""Whether what is expected of the next purchase holds: levels set on one night, measured on a later one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from facts.baskets import Baskets, days_since_1970, read_baskets
from facts.lake import Lake, Shop
from features.recommending.grouped import look_up
from features.recommending.pairs import Floats, purchases
from features.recommending.replenishment import (
    Remaining,
    Replenishment,
    calibrate,
    expect,
    learn_rhythms,
)
from training.evaluation import DRAWS
from training.metrics import Estimate
from training.metrics.ranking import estimate_means

LONGEST_HORIZON = timedelta(days=60)
_PARTS = 6  # of the record: two horizons to set and to measure levels on, the rest to learn from


@dataclass(frozen=True, slots=True, kw_only=True)
class Replenished:
    """The levels of the last night before the test, and how they held on it.

    `measured` has, of what was bought within the horizon, the share inside the interval (`coverage`), below and above
    it, the interval's width, the mean absolute error of the median, and that of the customer's own mean gap; and of
    everything the share that was bought (`came`), beside the one expected.
    """

    replenishment: Replenishment
    measured: dict[str, Estimate]
    pairs: int


def measure_replenishment(
    lake: Lake, shop: Shop, *, seed: int, grouped: Callable[[Baskets], Baskets] = lambda baskets: baskets
) -> Replenished:
    """Set levels and measure them on the nights one and two horizons before the end of the record.

    `grouped` makes of baskets those of categories.
    """
    horizon = min(LONGEST_HORIZON, (shop.observed_until - shop.observed_from) / _PARTS)
    whole = read_baskets(lake, shop.observed_until)
    names = whole.product_ids.tolist()

    def look(cutoff: datetime) -> tuple[Remaining, Floats, Floats]:
        known = grouped(read_baskets(lake, cutoff, product_ids=names))
        remaining = expect(known, learn_rhythms(known))
        days = _days_to_next(known, grouped(whole), remaining, cutoff, horizon)
        return remaining, days, _mean_gaps(known)

    most = horizon / timedelta(days=1)
    past, days, _ = look(shop.observed_until - 2 * horizon)
    levels = calibrate(past, days, horizon_days=most)
    tested, actual, gaps = look(shop.observed_until - horizon)
    low, middle, high = levels.interval(tested).T
    came, share = np.isfinite(actual), levels.share(tested)
    usual = np.clip(gaps - tested.passed_days, 0.0, most)

    def of_what_came(figures: Floats) -> Floats:
        return np.where(came, figures, np.nan)

    days = np.where(came, actual, most)
    values = {
        "coverage": of_what_came((days >= low) & (days <= high)),
        "below": of_what_came(days < low),
        "above": of_what_came(days > high),
        "mae_days": of_what_came(np.abs(middle - days)),
        "mae_days_of_mean_gap": of_what_came(np.abs(usual - days)),
        "width_days": of_what_came(high - low),
        "came": came.astype(float),
        "expected_to_come": share,
    }
    measured = estimate_means(values, draws=DRAWS, seed=seed, clusters=tested.customer)
    return Replenished(replenishment=levels, measured=measured, pairs=len(actual))


def _mean_gaps(known: Baskets) -> Floats:
    """Return of everything that was bought at least twice the customer's own mean gap in days."""
    bought = purchases(known)
    return bought.gaps(bought.days_ago)[bought.counts > 1]


def _days_to_next(known: Baskets, whole: Baskets, remaining: Remaining, cutoff: datetime, horizon: timedelta) -> Floats:
    """Return in how many days after a cutoff each was bought, infinite where not within the horizon."""
    start = float(days_since_1970(pd.Timestamp(cutoff)))
    at = whole.at[whole.basket]  # noqa: PD008 - an array
    later = np.flatnonzero((at >= start) & (at < start + horizon / timedelta(days=1)))
    items = max(len(whole.product_ids), 1)
    keys = whole.customer[whole.basket[later]].astype(np.int64) * items + whole.product[later]
    every, place = np.unique(keys, return_inverse=True)
    first = np.full(len(every), np.inf)
    np.minimum.at(first, place, at[later] - start)
    number = {name: n for n, name in enumerate(whole.customer_ids.tolist())}
    whose = np.array([number.get(name, -1) for name in known.customer_ids.tolist()], dtype=np.int64)
    asked = whose[remaining.customer] * items + remaining.item
    if not len(every):
        return np.full(len(asked), np.inf)
    place, is_there = look_up(every, asked)
    return np.where(is_there & (whose[remaining.customer] >= 0), first[place], np.inf)
