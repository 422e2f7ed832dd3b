"""What lists do beside being right: how much they repeat, how much of the shop they show, how varied they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facts.baskets import Baskets
from features.recommending.pairs import trait
from training.metrics.ranking import LENGTHS, NOBODY
from training.recommender.baselines import counts_of
from training.recommender.questions import Night


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffects:
    """What lists do beside being right, of the first ten products of each.

    `repeat_share` is how much of them customers had bought before, `catalogue_coverage` how many of the products that
    are sold are in any list, `novelty` the mean bits of surprise: minus the logarithm of a product's share of buyers.

    References
    ----------
    Castells, Hurley & Vargas (2022), "Novelty and diversity in recommender systems".
    """

    repeat_share: float
    catalogue_coverage: float
    novelty: float
    category_count: float


def side_effects(night: Night, past: Baskets, ranked: NDArray[np.int64]) -> SideEffects:
    """Measure lists, (customers, length) products, of those who had bought `past` at a night."""
    first = ranked[:, : min(LENGTHS)]
    is_told = (first != NOBODY) & (first < night.shelf.product_count)
    rows, products = np.nonzero(is_told)[0], first[is_told]
    if not len(products):
        return SideEffects(repeat_share=0.0, catalogue_coverage=0.0, novelty=0.0, category_count=0.0)
    buyers = trait(night.shelf.traits, "product_buyer_count")
    surprise = -np.log2(np.maximum(buyers, 1) / max(float(buyers.max()), 1.0))
    category = night.shelf.category[products]
    pairs = np.unique(rows[category != NOBODY] * (int(category.max()) + 2) + category[category != NOBODY])
    return SideEffects(
        repeat_share=float(np.mean(np.asarray(counts_of(past)[rows, products]).ravel() > 0)),
        catalogue_coverage=float(len(np.unique(products)) / max(int((buyers > 0).sum()), 1)),
        novelty=float(surprise[products].mean()),
        category_count=float(len(pairs) / len(np.unique(rows))),
    )
