"""What is known of a customer and a product that the customer has bought: how often, how regularly, how long ago.

One function for one customer in a request and for all of them in a training: it takes baskets and what is known of the
products as a whole, which a nightly run makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facts.baskets import Baskets

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
BASKET_DECAYS = (0.95, 0.8, 0.5)  # what a purchase weighs after each later basket of the customer
HALF_LIVES_DAYS = (7, 30, 90)
RECENT_DAYS = 30.0
_PRIOR_BUYERS, _PRIOR_REBUYERS = 4.0, 1.0  # of a product that few have bought

# Where a shop tells no times, days are places among the customer's baskets.
PAIR_FEATURES: Mapping[str, str] = {
    "pair_count": "baskets of the customer that hold the product",
    "pair_basket_rate": "share of the customer's baskets that hold it",
    "pair_rate_since_first": "share of the baskets since the first that held it",
    "pair_recency_days": "days since the last basket that held it",
    "pair_recency_baskets": "baskets of the customer since then",
    "pair_age_days": "days since the first basket that held it",
    "pair_age_baskets": "baskets since then",
    "pair_gap_days_mean": "mean days from one to the next; missing of one that was bought once",
    "pair_gap_baskets_mean": "mean number of baskets from one to the next",
    "pair_due_days_rate": "days since the last over the mean days from one to the next",
    "pair_due_baskets_rate": "baskets since the last, the next counted, over the mean number from one to the next",
    **{
        f"pair_decayed_{decay:g}": f"count, each {decay:g} to the power of the later baskets" for decay in BASKET_DECAYS
    },
    **{f"pair_decayed_{days}d": f"count, each halved every {days} days" for days in HALF_LIVES_DAYS},
    "pair_due_product_rate": "days since the last over the mean days of all who bought it again",
}
PRODUCT_FEATURES: Mapping[str, str] = {
    "product_basket_count": "baskets of the shop that hold the product",
    "product_recent_basket_count": "those of the last 30 days",
    "product_buyer_count": "customers who bought it",
    "product_rebuy_rate": "share of them who did so again, drawn towards a quarter where they are few",
    "product_gap_days_mean": "mean days from one to the next of all who bought it again",
}
CUSTOMER_FEATURES: Mapping[str, str] = {
    "customer_basket_count": "baskets of the customer",
    "customer_basket_size_mean": "products in them on average",
    "customer_product_count": "different products that the customer bought",
    "customer_recency_days": "days since the customer's last basket",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """One row per customer and product that the customer has bought, ordered by customer and product.

    `customer` and `product` are (pairs,) numbers as in the baskets, `matrix` is (pairs, features) in the order of
    `PAIR_FEATURES`, missing as NaN.
    """

    customer: Numbers
    product: Numbers
    matrix: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Purchases:
    """The rows of baskets by customer and product, then time: `start` and `last` are the ends of each pair's rows.

    `customer`, `product`, `start` and `last` are (pairs,), `days_ago` and `places_ago` (rows,).
    """

    customer: Numbers
    product: Numbers
    start: Numbers
    last: Numbers
    days_ago: Floats
    places_ago: Floats

    @property
    def counts(self) -> Numbers:
        """Return (pairs,) how many baskets hold each."""
        return self.last - self.start + 1

    def sums(self, weights: Floats) -> Floats:
        """Return (pairs,) the sums of (rows,) weights."""
        found: Floats = np.add.reduceat(weights, self.start) if len(weights) else weights
        return found

    def gaps(self, ago: Floats) -> Floats:
        """Return the mean step from one purchase to the next, missing of one that was made once."""
        steps = np.where(self.counts > 1, self.counts - 1, np.nan)
        found: Floats = (ago[self.start] - ago[self.last]) / steps
        return found


def product_traits(baskets: Baskets) -> Floats:
    """Measure every product on the baskets of all customers: (products, features) by `PRODUCT_FEATURES`.

    The last 30 days are those before the latest `now`.
    """
    bought, products = purchases(baskets), len(baskets.product_ids)
    is_recent = baskets.at[baskets.basket] >= baskets.now.max(initial=-np.inf) - RECENT_DAYS
    again = bought.counts > 1
    rebuyers, buyers = (np.bincount(bought.product[rows], minlength=products) for rows in (again, slice(None)))
    gaps = np.bincount(bought.product[again], bought.gaps(bought.days_ago)[again], minlength=products).astype(float)
    columns = [
        np.bincount(baskets.product, minlength=products),
        np.bincount(baskets.product[is_recent], minlength=products),
        buyers,
        (rebuyers + _PRIOR_REBUYERS) / (buyers + _PRIOR_BUYERS),
        _over(gaps, rebuyers),
    ]
    return np.stack(columns, axis=1).astype(float)


def trait(traits: Floats, name: str) -> Floats:
    """Return one column of `product_traits`, by its name in `PRODUCT_FEATURES`."""
    column: Floats = traits[:, list(PRODUCT_FEATURES).index(name)]
    return column


def pairs(baskets: Baskets, traits: Floats) -> Pairs:
    """Return what is known of each customer and product, every customer looked at from its own `now`."""
    bought = purchases(baskets)
    counts, of, product = bought.counts, bought.customer, bought.product
    days, places = bought.days_ago, bought.places_ago
    gap_days, gap_places = bought.gaps(days), bought.gaps(places)
    recency, recent_places = days[bought.last], places[bought.last]
    columns = [
        counts,
        counts / baskets.basket_counts[of],
        counts / (places[bought.start] + 1),
        recency,
        recent_places,
        days[bought.start],
        places[bought.start],
        gap_days,
        gap_places,
        _over(recency, gap_days),
        _over(recent_places + 1, gap_places),
        *[bought.sums(decay**places) for decay in BASKET_DECAYS],
        *[bought.sums(0.5 ** (days / half_life)) for half_life in HALF_LIVES_DAYS],
        _over(recency, trait(traits, "product_gap_days_mean")[product]),
    ]
    return Pairs(customer=of, product=product, matrix=np.stack(columns, axis=1).astype(np.float32))


def liking(baskets: Baskets) -> tuple[Numbers, Numbers, NDArray[np.float32]]:
    """Return customers, the products that each has bought, and how much of it: `pair_decayed_0.95` of `pairs`."""
    bought = purchases(baskets)
    weight = bought.sums(BASKET_DECAYS[0] ** bought.places_ago)
    return bought.customer, bought.product, weight.astype(np.float32)


def customer_matrix(baskets: Baskets, bought: Pairs) -> Floats:
    """Return (customers, features) what is known of each customer, by `CUSTOMER_FEATURES`; missing without a basket.

    `bought` are the pairs of the baskets.
    """
    customers, counts = len(baskets.customer_ids), baskets.basket_counts
    rows = np.bincount(baskets.customer[baskets.basket], minlength=customers).astype(float)
    latest, has_any = np.full(customers, np.nan), counts > 0
    latest[has_any] = baskets.at[np.cumsum(counts)[has_any] - 1]
    different = np.bincount(bought.customer, minlength=customers)
    columns = [counts, _over(rows, counts), different, baskets.now - latest]
    return np.stack(columns, axis=1).astype(float)


def purchases(baskets: Baskets) -> Purchases:
    """Return what customers bought, by customer and product."""
    customer = baskets.customer[baskets.basket].astype(np.int64)
    keys = customer * max(len(baskets.product_ids), 1) + baskets.product
    order = np.argsort(keys, kind="stable")  # baskets are in the order of time
    keys, basket = keys[order], baskets.basket[order]
    start = np.flatnonzero(np.diff(keys, prepend=-1))
    return Purchases(
        customer=customer[order][start],
        product=baskets.product[order][start].astype(np.int64),
        start=start,
        last=np.append(start[1:], len(keys))[: len(start)] - 1,
        days_ago=(baskets.now[baskets.customer] - baskets.at)[basket],
        places_ago=baskets.places_from_last[basket].astype(float),
    )


def _over(figures: Floats, by: Floats | Numbers) -> Floats:
    """Divide, missing where there is nothing to divide by."""
    found: Floats = figures / np.where(by > 0, by, np.nan)
    return found
