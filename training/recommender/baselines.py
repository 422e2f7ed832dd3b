"""What a recommender must be better than: what is popular, and what the customer bought most often."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facts.baskets import Baskets
from training.metrics.ranking import NOBODY

Ranked = NDArray[np.int64]
Floats = NDArray[np.float64]


def counts_of(baskets: Baskets) -> sparse.csr_array:
    """Return (customers, products) in how many baskets of a customer a product is."""
    return weighed(baskets, np.ones(len(baskets.customer)))


def weighed(baskets: Baskets, weight: Floats) -> sparse.csr_array:
    """Return (customers, products) the sums of what each basket that holds a product weighs, `weight` (baskets,)."""
    shape = (len(baskets.customer_ids), len(baskets.product_ids))
    cells = (weight[baskets.basket], (baskets.customer[baskets.basket], baskets.product))
    return sparse.csr_array(cells, shape=shape)


def by_popularity(popularity: Floats, customers: int, count: int) -> Ranked:
    """Rank products by (products,) how popular they are, for all customers alike."""
    best = np.argsort(-popularity, kind="stable")[:count]
    return np.tile(best, (customers, 1))


def by_frequency(past: Baskets, popularity: Floats, count: int) -> Ranked:
    """Rank a customer's own products by in how many baskets they are, equal ones by popularity; no others."""
    return best_of(counts_of(past), popularity / (popularity.max(initial=0) + 1), count)


def filled(ranked: Ranked, popularity: Floats) -> Ranked:
    """Fill lists that are too short with the most popular products that are not in them."""
    found, length = ranked.copy(), ranked.shape[1]
    others = np.argsort(-popularity, kind="stable")[: 2 * length]
    for customer in np.flatnonzero((found == NOBODY).any(axis=1)):
        held = found[customer][found[customer] != NOBODY]
        rest = others[~np.isin(others, held)][: length - len(held)]
        found[customer, len(held) : len(held) + len(rest)] = rest
    return found


def best_of(weights: sparse.csr_array, ties: Floats, count: int) -> Ranked:
    """Rank the stored products of every customer by weight, equal ones by `ties`, then by number."""
    ranked = np.full((weights.shape[0], count), NOBODY, np.int64)
    for customer in range(weights.shape[0]):
        held = slice(weights.indptr[customer], weights.indptr[customer + 1])
        products = weights.indices[held]
        order = np.lexsort((products, -ties[products], -weights.data[held]))[:count]
        ranked[customer, : len(order)] = products[order]
    return ranked
