"""Whether what is expected of the next purchase holds: learned at a night a horizon before the end, measured since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from facts.baskets import Baskets, read_baskets
from facts.lake import Lake, Shop
from features.recommending.nearest import NOBODY
from features.recommending.night import category_numbers, read_products
from features.recommending.pairs import Floats, purchases
from features.recommending.replenishment import (
    LONGEST_HORIZON,
    PARTS,
    days_to_next,
    expect,
    learn_replenishment,
)
from features.recommending.shelf import in_categories
from training.evaluation import DRAWS
from training.metrics import Estimate
from training.metrics.ranking import estimate_means


@dataclass(frozen=True, slots=True, kw_only=True)
class Replenished:
    """How what was expected at a night held within the horizon after it.

    `measured` has, of what was bought within the horizon, the share inside the interval (`coverage`), below and above
    it, the interval's width, the mean absolute error of the median, and that of the customer's own mean gap; and of
    everything the share that was bought (`came`), beside the one expected.
    """

    horizon_days: float
    measured: dict[str, Estimate]
    pairs: int


def measure_replenishment(lake: Lake, shop: Shop, *, seed: int) -> dict[str, Replenished]:
    """Measure what was expected of products, and of categories where the shop has any.

    It was expected a horizon before the end of the record, when a fifth of it lay ahead at most.
    """
    horizon = min(LONGEST_HORIZON, (shop.observed_until - shop.observed_from) / (PARTS + 1))
    products = read_products(lake, shop.observed_until)
    names, category = products["product_id"].tolist(), category_numbers(products)
    known = [read_baskets(lake, shop.observed_until - ago * horizon, product_ids=names) for ago in (2, 1, 0)]
    most, count = horizon / timedelta(days=1), int(category.max(initial=NOBODY)) + 1
    found = {"products": _measure(*known, horizon_days=most, seed=seed)}
    if count:
        of_categories = (in_categories(baskets, category, count) for baskets in known)
        found["categories"] = _measure(*of_categories, horizon_days=most, seed=seed)
    return found


def _measure(then: Baskets, known: Baskets, whole: Baskets, *, horizon_days: float, seed: int) -> Replenished:
    learned = learn_replenishment(then, known, horizon_days=horizon_days)
    tested = expect(known, learned.rhythms)
    actual = days_to_next(known, whole, tested, horizon_days=horizon_days)
    low, middle, high = learned.interval(tested).T
    came, days = np.isfinite(actual), np.minimum(actual, horizon_days)
    usual = np.clip(_mean_gaps(known) - tested.passed_days, 0.0, horizon_days)

    def of_what_came(figures: Floats) -> Floats:
        return np.where(came, figures, np.nan)

    values = {
        "coverage": of_what_came((days >= low) & (days <= high)),
        "below": of_what_came(days < low),
        "above": of_what_came(days > high),
        "mae_days": of_what_came(np.abs(middle - days)),
        "mae_days_of_mean_gap": of_what_came(np.abs(usual - days)),
        "width_days": of_what_came(high - low),
        "came": came.astype(float),
        "expected_to_come": learned.share(tested),
    }
    measured = estimate_means(values, draws=DRAWS, seed=seed, clusters=tested.customer)
    return Replenished(horizon_days=horizon_days, measured=measured, pairs=len(actual))


def _mean_gaps(known: Baskets) -> Floats:
    """Return of everything that was bought at least twice the customer's own mean gap in days."""
    bought = purchases(known)
    return bought.gaps(bought.days_ago)[bought.counts > 1]
