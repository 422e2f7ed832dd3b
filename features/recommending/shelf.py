"""What a shop's night knows for recommendations: products as a whole, their neighbours, and what customers like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facts.baskets import Baskets, unnamed
from features.recommending.nearest import (
    NOBODY,
    Likes,
    Nearest,
    bought_by_the_same,
    bought_together,
    nearest_customers,
)
from features.recommending.pairs import BASKET_DECAYS, PAIR_FEATURES, Floats, liking, product_traits, trait

NEIGHBOURS = 30  # of a product, and of a customer
MOST_REFERENCES = 5_000  # customers among whom the nearest are looked for
MOST_POPULAR = 1_000
_RISING_AT_LEAST = 5  # baskets of the last 30 days
LIKED = list(PAIR_FEATURES).index(f"pair_decayed_{BASKET_DECAYS[0]:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What is known of a shop's products at a night.

    Parameters
    ----------
    traits, category_traits
        (products, features) and (categories, features), by `PRODUCT_FEATURES`.
    category
        (products,) the number of each one's category, `NOBODY` where it has none.
    together, same_customers
        The nearest products by baskets and by customers.
    references
        What some of the customers like, at most 5,000 of them.
    popular, rising
        Product numbers: those in the most baskets of the last 30 days, and those whose share of them has grown most.
    """

    traits: Floats
    category_traits: Floats
    category: NDArray[np.int32]
    together: Nearest
    same_customers: Nearest
    references: Likes
    popular: NDArray[np.int32]
    rising: NDArray[np.int32]

    @property
    def product_count(self) -> int:
        """Return how many products there are."""
        return len(self.category)

    @property
    def stride(self) -> int:
        """Return by what a customer's number is multiplied in keys of customer and product."""
        return max(self.product_count, 1)

    @property
    def category_count(self) -> int:
        """Return how many categories there are."""
        return len(self.category_traits)


def build_shelf(baskets: Baskets, category: NDArray[np.int32] | None = None) -> tuple[Shelf, Nearest]:
    """Return what a night knows of baskets, and the nearest references of every customer.

    `category` is (products,) numbers from 0, `NOBODY` where a product has none.
    """
    traits = product_traits(baskets)
    of = np.full(len(baskets.product_ids), NOBODY, dtype=np.int32) if category is None else category
    likes = likes_of(baskets)
    chosen = _references(likes)
    place = np.full(len(baskets.customer_ids), NOBODY, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    references = likes.among(chosen)
    near = nearest_customers(likes, references, place, products=len(baskets.product_ids), count=NEIGHBOURS)
    shelf = Shelf(
        traits=traits,
        category_traits=product_traits(in_categories(baskets, of, int(of.max(initial=-1)) + 1)),
        category=of,
        together=bought_together(baskets, NEIGHBOURS),
        same_customers=bought_by_the_same(baskets, NEIGHBOURS),
        references=references,
        popular=_most(trait(traits, "product_recent_basket_count"), trait(traits, "product_basket_count")),
        rising=_most(_growth(traits)),
    )
    return shelf, near


def likes_of(baskets: Baskets) -> Likes:
    """Return what customers like most, by how often and how lately they bought it."""
    customer, product, weight = liking(baskets)
    shape = (len(baskets.customer_ids), len(baskets.product_ids))
    return Likes.of(sparse.csr_array((weight, (customer, product)), shape=shape))


def in_categories(baskets: Baskets, category: NDArray[np.int32], count: int) -> Baskets:
    """Return the same baskets with the categories of their products; those without any are left out."""
    known = category[baskets.product] != NOBODY
    keys = np.unique(baskets.basket[known].astype(np.int64) * max(count, 1) + category[baskets.product[known]])
    basket, product = np.divmod(keys, max(count, 1))
    return Baskets(
        customer_ids=baskets.customer_ids,
        product_ids=unnamed(count),
        customer=baskets.customer,
        at=baskets.at,
        now=baskets.now,
        basket=basket.astype(np.int32),
        product=product.astype(np.int32),
    )


def _references(likes: Likes) -> NDArray[np.int64]:
    """Return every so-manieth of the customers who bought anything."""
    known = np.flatnonzero(np.diff(likes.start) > 0)
    return known[:: max(1, -(-len(known) // MOST_REFERENCES))]


def _most(*by: Floats) -> NDArray[np.int32]:
    """Return the numbers of products with the greatest positive figures, the next figure decides between equal ones."""
    first = by[0]
    order = np.lexsort((np.arange(len(first)), *(-figures for figures in reversed(by))))
    return order[first[order] > 0][:MOST_POPULAR].astype(np.int32)


def _growth(traits: Floats) -> Floats:
    """Return by how many standard errors a product's baskets of the last 30 days are more than its share of all."""
    every, recent = trait(traits, "product_basket_count"), trait(traits, "product_recent_basket_count")
    usual = every * recent.sum() / max(every.sum(), 1.0)
    found: Floats = np.where(recent >= _RISING_AT_LEAST, (recent - usual) / np.sqrt(usual + 1), 0.0)
    return found
