"""The product affinity map: which categories a customer leans to, which go with them, and which one is next.

A category's probability of being in the next basket is the share of the customer's own baskets that hold it, a later
basket weighing more, drawn towards everyone's (empirical Bayes with a beta prior). How fast baskets fade, how much
everyone's share of each category weighs, and how the log odds are moved is what foretells the last known baskets best.

References
----------
Robbins (1956), "An empirical Bayes approach to statistics". Platt (1999), "Probabilistic outputs for support vector
machines", for the line through the log odds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse, special

from facts.baskets import Baskets
from features.recommending.nearest import Nearest, bought_together
from features.recommending.pairs import RECENT_DAYS, Floats

NEIGHBOURS = 5  # categories that go with one
_DECAYS = (0.8, 0.9, 0.95, 0.98, 1.0)  # what a basket weighs after each later one
_WEIGHTS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)  # baskets that everyone's share weighs as much as
_MOST_ASKED = 2_000  # customers by whom all is chosen
_LEAST = 1e-4  # probability


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinities:
    """What a shop's night knows of its categories.

    Parameters
    ----------
    share
        (categories,) the mean over customers of the share of their baskets of the last 30 days that hold it.
    weight
        (categories,) how many baskets of a customer that share weighs as much as.
    fit
        (3,) what a basket weighs after each later one, then intercept and slope of the log odds.
    together
        The categories that lie in the same baskets.
    """

    share: Floats
    weight: Floats
    fit: Floats
    together: Nearest

    @property
    def of_a_stranger(self) -> Floats:
        """Return (categories,) how likely the basket of somebody holds each of whom nothing is known."""
        return _moved(self.share, self.fit)


def learn_affinities(baskets: Baskets) -> Affinities:
    """Learn them from the baskets of a shop, whose products are categories."""
    share, (before, last) = _shares(baskets), _last_baskets(baskets)
    tried = {decay: _best_weights(before, last, share, decay) for decay in _DECAYS}
    decay = min(tried, key=lambda decay: tried[decay][1])
    weight = tried[decay][0]
    line = _line(_drawn(before, share, weight, decay), last)
    together = bought_together(baskets, NEIGHBOURS)
    return Affinities(share=share, weight=weight, fit=np.array([decay, *line]), together=together)


def probabilities(baskets: Baskets, affinities: Affinities) -> Floats:
    """Return (customers, categories) how likely each customer's next basket holds each.

    The products of `baskets` are categories.
    """
    return _moved(_drawn(baskets, affinities.share, affinities.weight, float(affinities.fit[0])), affinities.fit)


def _drawn(baskets: Baskets, share: Floats, weight: Floats, decay: float) -> Floats:
    fresh, customers = decay**baskets.places_from_last, len(baskets.customer_ids)
    cells = (fresh, (baskets.customer, np.arange(len(baskets.customer))))
    of_customer = sparse.csr_array(cells, shape=(customers, len(baskets.customer)))
    seen = np.bincount(baskets.customer, fresh, minlength=customers)
    found: Floats = ((of_customer @ _held(baskets)).toarray() + weight * share) / (seen[:, None] + weight)
    return found


def _moved(likely: Floats, fit: Floats) -> Floats:
    _, intercept, slope = fit.tolist()
    found: Floats = special.expit(intercept + slope * special.logit(np.clip(likely, _LEAST, 1 - _LEAST)))
    return found


def _held(baskets: Baskets) -> sparse.csr_array:
    """Return (baskets, categories) ones where a basket holds a category."""
    cells = (np.ones(len(baskets.basket)), (baskets.basket, baskets.product))
    return sparse.csr_array(cells, shape=(len(baskets.customer), len(baskets.product_ids)))


def _shares(baskets: Baskets) -> Floats:
    is_recent = baskets.at >= baskets.now.max(initial=-np.inf) - RECENT_DAYS
    kept = is_recent if is_recent.any() else np.ones_like(is_recent)
    counts = np.bincount(baskets.customer[kept], minlength=len(baskets.customer_ids))
    part = kept / np.maximum(counts, 1)[baskets.customer]
    sums = np.bincount(baskets.product, part[baskets.basket], minlength=len(baskets.product_ids))
    found: Floats = sums / max(int((counts > 0).sum()), 1)
    return found


def _last_baskets(baskets: Baskets) -> tuple[Baskets, Floats]:
    """Return the earlier baskets of some customers, and (customers, categories) what their last ones held."""
    several = np.flatnonzero(baskets.basket_counts > 1)
    some = baskets.among(several[:: max(1, -(-len(several) // _MOST_ASKED))])
    before, last = some.split(some.places_from_last == 0)
    return before, _held(last).toarray()


def _best_weights(before: Baskets, last: Floats, share: Floats, decay: float) -> tuple[Floats, float]:
    """Return the weight of each category that foretells the last baskets best, and how badly all do together."""
    losses = [_log_losses(_drawn(before, share, np.full(len(share), weight), decay), last) for weight in _WEIGHTS]
    best = np.argmin(losses, axis=0)
    return np.array(_WEIGHTS)[best], float(np.min(losses, axis=0).sum())


def _log_losses(likely: Floats, held: Floats) -> Floats:
    kept = np.clip(likely, _LEAST, 1 - _LEAST)
    found: Floats = -np.where(held > 0, np.log(kept), np.log1p(-kept)).sum(axis=0)
    return found


def _line(likely: Floats, held: Floats) -> tuple[float, float]:
    """Return intercept and slope by which log odds foretell best; as they are, where nothing is known."""
    odds, came = special.logit(np.clip(likely, _LEAST, 1 - _LEAST)).ravel(), held.ravel()
    if not 0 < came.sum() < len(came):
        return 0.0, 1.0

    def loss(line: Floats) -> float:
        moved = line[0] + line[1] * odds
        return float(np.mean(np.logaddexp(0, moved) - came * moved))

    intercept, slope = optimize.minimize(loss, [0.0, 1.0]).x.tolist()
    return intercept, slope
