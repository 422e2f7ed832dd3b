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

import numpy as np
from scipy import special

from facts.baskets import Baskets
from features.recommending.pairs import Floats, Numbers, Purchases, purchases

LEVELS = (0.1, 0.5, 0.9)
OVERDUE_EDGES = (-1.0, 0.0, 1.0, 2.0)  # standard deviations that the days passed are from the expected logarithm
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
    """What the past says of a rhythm, by band of how overdue something is.

    Parameters
    ----------
    horizon_days
        Up to which it was measured.
    shares
        How much of it was bought within the horizon at all.
    levels
        Of what was, one for each of `LEVELS`: which level of the distribution that share of it came by.
    """

    horizon_days: float
    shares: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]

    def share(self, remaining: Remaining) -> Floats:
        """Return (pairs,) how likely each is bought within the horizon."""
        found: Floats = np.asarray(self.shares)[remaining.band]
        return found

    def interval(self, remaining: Remaining) -> Floats:
        """Return (pairs, 3) in how many days a tenth, half and nine tenths of what is bought within the horizon are."""
        levels = np.asarray(self.levels)[remaining.band]
        days = np.stack([remaining.days(levels[:, place]) for place in range(len(LEVELS))], axis=1)
        return np.minimum(days, self.horizon_days)


_BANDS = len(OVERDUE_EDGES) + 1


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


def calibrate(remaining: Remaining, days: Floats, *, horizon_days: float) -> Replenishment:
    """Set shares and levels to what the past has.

    `days` is (pairs,) in how many days each was bought, infinite where not within the horizon.
    """
    came, found, band = np.isfinite(days), remaining.level(days), remaining.band
    shares, levels = [], []
    for number in range(_BANDS):
        here = band == number
        shares.append((float(came[here].sum()) + came.mean() if len(came) else 0.5) / (float(here.sum()) + 1))
        levels.append(tuple(_quantile(np.sort(found[came & here]), level) for level in LEVELS))
    return Replenishment(horizon_days=horizon_days, shares=tuple(shares), levels=tuple(levels))


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
