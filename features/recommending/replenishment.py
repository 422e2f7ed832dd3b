"""When a customer will buy a product, or something of a category, again: the own rhythm, drawn towards everyone's.

The days between two purchases are taken as lognormal. What is usual of a product or category, and how far customers are
from it, is learned at night (empirical Bayes); a customer's own gaps move it. Given that so many days have passed, the
rest of the gap is what remains of that distribution, and which of its quantiles hold is measured on the past.

References
----------
Efron & Morris (1975), "Data analysis using Stein's estimator and its generalizations", for the shrinkage.
Kuleshov, Fenner & Ermon (2018), "Accurate uncertainties for deep learning using calibrated regression", for quantiles
that are moved to where the past has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from scipy import special

from facts.baskets import Baskets
from features.recommending.grouped import look_up
from features.recommending.pairs import Floats, Numbers, Purchases, purchases

LEVELS = (0.1, 0.5, 0.9)
OVERDUE_EDGES = (-1.0, 0.0, 1.0, 2.0)  # standard deviations that the days passed are from the expected logarithm
LONGEST_HORIZON = timedelta(days=60)
PARTS = 5  # of the record: the horizon is one of them at most
LEAST_CAME = 100  # pairs by which levels are set
_LEAST_GAP_DAYS = 0.25  # two baskets of a few minutes are one visit
_LEAST_VARIANCE = 0.01
_SHOP_WEIGHT = 10.0  # customers who bought an item again that count as much as the whole shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythms:
    """What is usual: (items,) the mean of the logarithm of the days between two purchases, and two variances.

    The first of `variances` is of one customer's gaps of an item, the second of customers around the item's mean.
    """

    mean: Floats
    variances: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is expected of customers and items that were bought at least twice, in the order of both.

    Parameters
    ----------
    customer, item
        (pairs,) numbers.
    mean, deviation
        (pairs,) of the logarithm of the days from the last purchase to the next.
    passed_days
        (pairs,) how many of them have passed.
    """

    customer: Numbers
    item: Numbers
    mean: Floats
    deviation: Floats
    passed_days: Floats

    @property
    def due_days(self) -> Floats:
        """Return (pairs,) in how many days the usual gap is over; less than 0 where it has been over for so long."""
        found: Floats = np.exp(self.mean) - self.passed_days
        return found

    @property
    def overdue(self) -> Floats:
        """Return (pairs,) how many standard deviations the days that have passed are from what was expected."""
        return (np.log(np.maximum(self.passed_days, _LEAST_GAP_DAYS)) - self.mean) / self.deviation

    @property
    def band(self) -> Numbers:
        """Return (pairs,) the number of the band of `OVERDUE_EDGES`."""
        return np.searchsorted(OVERDUE_EDGES, self.overdue)

    def days(self, level: Floats) -> Floats:
        """Return (pairs,) in how many days from now a share of such customers has bought."""
        with np.errstate(divide="ignore"):
            left = np.log1p(-level) + special.log_ndtr(-self.overdue)
        found = np.exp(self.mean - self.deviation * special.ndtri_exp(left)) - self.passed_days
        left_days: Floats = np.maximum(found, 0.0)
        return left_days

    def level(self, days: Floats) -> Floats:
        """Return (pairs,) which share of such customers has bought after so many days from now."""
        after = (np.log(np.maximum(self.passed_days + days, _LEAST_GAP_DAYS)) - self.mean) / self.deviation
        found: Floats = -np.expm1(np.minimum(special.log_ndtr(-after) - special.log_ndtr(-self.overdue), 0.0))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Replenishment:
    """What a shop's past says of when items come again.

    Parameters
    ----------
    rhythms
        What is usual.
    shares
        (bands,) by how overdue something is, how much of it was bought within the horizon at all.
    levels
        (bands, 3) of what was, one for each of `LEVELS`: which level of the distribution that share of it came by.
    horizon_days
        Up to which both were measured. Where too little was seen to measure them, they are NaN.
    """

    rhythms: Rhythms
    shares: Floats
    levels: Floats
    horizon_days: float

    def share(self, remaining: Remaining) -> Floats:
        """Return (pairs,) how likely each is bought within the horizon."""
        return self.shares[remaining.band]

    def interval(self, remaining: Remaining) -> Floats:
        """Return (pairs, 3) in how many days a tenth, half and nine tenths of what is bought within the horizon are."""
        levels = self.levels[remaining.band]
        days = np.stack([remaining.days(levels[:, place]) for place in range(len(LEVELS))], axis=1)
        return np.minimum(days, self.horizon_days)


_BANDS = len(OVERDUE_EDGES) + 1


def horizon_at(record: timedelta) -> timedelta:
    """Return how far a shop with so long a record looks ahead: a fifth of it, at most 60 days."""
    return max(timedelta(0), min(LONGEST_HORIZON, record / PARTS))


def learn_replenishment(then: Baskets, known: Baskets, *, horizon_days: float) -> Replenishment:
    """Learn when items come again: what is usual by all that is known, levels by what came since an earlier night.

    `then` are the baskets known at that night, a horizon before; items have the same numbers in both.
    """
    past = expect(then, learn_rhythms(then))
    days = days_to_next(then, known, past, horizon_days=horizon_days)
    shares, levels = calibrate(past, days)
    return Replenishment(rhythms=learn_rhythms(known), shares=shares, levels=levels, horizon_days=horizon_days)


def days_to_next(then: Baskets, known: Baskets, remaining: Remaining, *, horizon_days: float) -> Floats:
    """Return (pairs,) in how many days each was bought, infinite where not within the horizon.

    Pairs are those of the baskets `then`; what came is among those known later.
    """
    start = float(then.now.max(initial=0))
    at = known.at[known.basket]  # noqa: PD008 - an array
    later = np.flatnonzero((at >= start) & (at < start + horizon_days))
    items = max(len(known.product_ids), 1)
    keys = known.customer[known.basket[later]].astype(np.int64) * items + known.product[later]
    every, place = np.unique(keys, return_inverse=True)
    if not len(every):
        return np.full(len(remaining.item), np.inf)
    first = np.full(len(every), np.inf)
    np.minimum.at(first, place, at[later] - start)
    whose = pd.Index(known.customer_ids).get_indexer(pd.Index(then.customer_ids))[remaining.customer]
    place, is_there = look_up(every, whose * items + remaining.item)
    return np.where(is_there & (whose >= 0), first[place], np.inf)


def learn_rhythms(baskets: Baskets) -> Rhythms:
    """Learn what is usual of every item of a shop's baskets; its products may be categories."""
    bought, items = purchases(baskets), len(baskets.product_ids)
    again = bought.counts > 1
    pair, gaps = _log_gaps(bought)
    counts = np.bincount(pair, minlength=len(bought.start)).astype(float)
    own = np.bincount(pair, gaps, minlength=len(bought.start)) / np.maximum(counts, 1)
    left = float(((gaps - own[pair]) ** 2).sum())
    item, counts, own = bought.product[again], counts[again], own[again]
    # By customers, not by gaps: who comes often has more of them.
    weight = counts / (counts + 1)
    shop = float(np.average(own, weights=weight)) if len(own) else 0.0
    weights = np.bincount(item, weight, minlength=items)
    mean = (np.bincount(item, weight * own, minlength=items) + _SHOP_WEIGHT * shop) / (weights + _SHOP_WEIGHT)
    freedom = max(float(counts.sum() - len(counts)), 1.0)
    within = max(left / freedom, _LEAST_VARIANCE)
    apart = (own - mean[item]) ** 2 - within / counts if len(counts) else np.zeros(1)
    between = max(float(np.average(apart, weights=counts if len(counts) else None)), _LEAST_VARIANCE)
    return Rhythms(mean=mean, variances=np.array([within, between]))


def expect(baskets: Baskets, rhythms: Rhythms) -> Remaining:
    """Return what is expected of everything that customers bought at least twice, each looked at from its own now."""
    bought = purchases(baskets)
    again = np.flatnonzero(bought.counts > 1)
    pair, gaps = _log_gaps(bought)
    counts = np.bincount(pair, minlength=len(bought.start))[again]
    sums = np.bincount(pair, gaps, minlength=len(bought.start))[again]
    usual = rhythms.mean[bought.product[again]]
    within, between = rhythms.variances.tolist()
    precision = counts / within + 1 / between
    return Remaining(
        customer=bought.customer[again],
        item=bought.product[again],
        mean=(sums / within + usual / between) / precision,
        deviation=np.sqrt(within + 1 / precision),
        passed_days=bought.days_ago[bought.last[again]],
    )


def calibrate(remaining: Remaining, days: Floats) -> tuple[Floats, Floats]:
    """Return shares and levels by band, as the past has them: see `Replenishment`.

    `days` is (pairs,) in how many days each was bought, infinite where not within the horizon. Of less than 100 pairs
    that were bought nothing is said.
    """
    came, found, band = np.isfinite(days), remaining.level(days), remaining.band
    if came.sum() < LEAST_CAME:
        return np.full(_BANDS, np.nan), np.full((_BANDS, len(LEVELS)), np.nan)
    whole = float(came.mean())
    shares = [
        (float(came[band == number].sum()) + whole) / (int((band == number).sum()) + 1) for number in range(_BANDS)
    ]
    levels = [
        [_quantile(np.sort(found[came & (band == number)]), level) for level in LEVELS] for number in range(_BANDS)
    ]
    return np.array(shares), np.array(levels)


def _quantile(ascending: Floats, level: float) -> float:
    """Return the split-conformal quantile of figures: the one that as many of n + 1 stay under as the level says."""
    if not len(ascending):
        return level
    place = int(np.ceil(level * (len(ascending) + 1))) - 1
    return float(ascending[min(max(place, 0), len(ascending) - 1)])


def _log_gaps(bought: Purchases) -> tuple[Numbers, Floats]:
    """Return of every purchase but its pair's first the number of the pair, and the logarithm of the days before."""
    pair = np.repeat(np.arange(len(bought.start)), bought.counts)
    is_first = np.zeros(len(pair), dtype=bool)
    is_first[bought.start] = True
    later = np.flatnonzero(~is_first)
    gaps = bought.days_ago[later - 1] - bought.days_ago[later]
    return pair[later], np.log(np.maximum(gaps, _LEAST_GAP_DAYS))
