"""Which products a customer may want next, and what is known of each: the rows that a ranking is made of.

A training, a nightly run and a request make their rows here; a customer alone has the rows that it has among others.
No step looks at all products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from facts.baskets import Baskets
from facts.lake import short_hash
from features.recommending.nearest import NOBODY, Nearest, slices
from features.recommending.pairs import CUSTOMER_FEATURES, PAIR_FEATURES, PRODUCT_FEATURES, customer_matrix, pairs
from features.recommending.shelf import LIKED, Shelf, in_categories

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
_NONE = np.empty(0, dtype=np.int64)
IsAllowed = Callable[[Numbers], NDArray[np.bool_]]

MOST_OWN, MOST_ALIKE, MOST_NEAR, MOST_IN_CONTEXT, MOST_VIEWED, MOST_POPULAR, MOST_RISING = 100, 20, 20, 20, 20, 10, 5
_MOST_LOOKED_FROM = 100  # products of a customer whose neighbours are looked at
_OF_CATEGORY = ("count", "basket_rate", "recency_days", "due_days_rate", "decayed_0.8", "decayed_30d")

SCORE_FEATURES: Mapping[str, str] = {
    "alike_score": "how much customers like this one like the product: mean weight, by likeness",
    "near_score": "how near it is to what the customer bought, by the same customers: mean cosine, by weight",
    "together_score": "how near it is to those that the customer bought last, by the same baskets: mean cosine",
    "context_score": "how near it is to what is in the cart, by the same baskets: mean cosine; missing without a cart",
    "context_count": "products in the cart",
    "view_count": "how often the customer looked at it in the last 30 days",
    "view_recency_days": "days since the customer last looked at it",
}
CATEGORY_FEATURES: Mapping[str, str] = {
    f"category_{name}": f"of the product's category: {PAIR_FEATURES[f'pair_{name}']}" for name in _OF_CATEGORY
}
CANDIDATE_FEATURES: Mapping[str, str] = {
    **PAIR_FEATURES,
    **PRODUCT_FEATURES,
    **CUSTOMER_FEATURES,
    **CATEGORY_FEATURES,
    **SCORE_FEATURES,
}
_ZERO_WHERE_NEW = [
    place for place, name in enumerate(PAIR_FEATURES) if "count" in name or "decayed" in name or (name.endswith("_rate")
    and "due" not in name)
]  # fmt: skip
_CATEGORY_PLACES = [list(PAIR_FEATURES).index(f"pair_{name}") for name in _OF_CATEGORY]


def candidate_hash() -> str:
    """Return one short hash of what a ranking is given: names, order and meaning."""
    return short_hash(list(CANDIDATE_FEATURES.items()))


class Source(IntFlag):
    """Where a candidate comes from; one may come from several."""

    OWN = 1
    ALIKE = 2
    NEAR = 4
    CONTEXT = 8
    VIEWED = 16
    POPULAR = 32
    RISING = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Customers at the instants of their questions.

    Parameters
    ----------
    baskets
        What they bought up to then, products by the shelf's numbers.
    alike
        (customers, count) the nearest of the shelf's references.
    context, viewed
        Rows of (customer, product): what lies in the cart, and what was looked at, `viewed_days` ago.
    """

    baskets: Baskets
    alike: Nearest
    context: tuple[Numbers, Numbers] = field(default_factory=lambda: (_NONE, _NONE))
    viewed: tuple[Numbers, Numbers] = field(default_factory=lambda: (_NONE, _NONE))
    viewed_days: Floats = field(default_factory=lambda: _NONE.astype(float))

    @property
    def count(self) -> int:
        """Return how many customers there are."""
        return len(self.baskets.customer_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """One row per customer and product, in the order of both.

    `matrix` is (rows, features) float32 in the order of `CANDIDATE_FEATURES`, missing as NaN; `source` says by the bits
    of `Source` where a row comes from.
    """

    customer: Numbers
    product: Numbers
    source: NDArray[np.int64]
    matrix: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Scores:
    """A figure by customer and product; `keys` ascend."""

    keys: Numbers
    figures: Floats

    def at(self, keys: Numbers, *, otherwise: float) -> Floats:
        if not len(self.keys):
            return np.full(len(keys), otherwise)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found: Floats = np.where(self.keys[place] == keys, self.figures[place], otherwise)
        return found


def find_candidates(
    shelf: Shelf,
    asked: Asked,
    *,
    popular: NDArray[np.int32] | None = None,
    rising: NDArray[np.int32] | None = None,
    is_allowed: IsAllowed | None = None,
    most_popular: int = MOST_POPULAR,
) -> Candidates:
    """Find what customers may want next.

    Parameters
    ----------
    shelf
        What is known of the products.
    popular, rising
        Products that are offered to everyone, best first; the shelf's where none are given.
    is_allowed
        Which of some products may be offered: of (n,) numbers (n,) booleans. All, where it is not given.
    most_popular
        How many of the popular ones everyone gets, where that is more than 10.
    """
    products = max(shelf.product_count, 1)
    own = pairs(asked.baskets, shelf.traits)
    own_keys = own.customer * products + own.product
    alike, near, together, context = _scores(shelf, asked, own.customer, own.product, own.matrix[:, LIKED], products)
    viewed, view_days = _views(asked, products)

    def allowed(keys: Numbers) -> NDArray[np.bool_]:
        return np.ones(len(keys), dtype=bool) if is_allowed is None else is_allowed(keys % products)

    def first(scores: _Scores, most: int) -> Numbers:
        kept = (scores.figures > 0) & allowed(scores.keys)
        return _first(scores.keys[kept], scores.figures[kept], most, products)

    def new(scores: _Scores, most: int) -> Numbers:
        is_new = ~np.isin(scores.keys, own_keys)
        return first(_Scores(scores.keys[is_new], scores.figures[is_new]), most)

    def for_all(numbers: NDArray[np.int32], most: int) -> Numbers:
        offered = numbers.astype(np.int64)
        offered = offered[allowed(offered)][:most]
        return (np.arange(asked.count)[:, None] * products + offered).ravel()

    sources = {
        Source.OWN: first(_Scores(own_keys, own.matrix[:, LIKED].astype(float)), MOST_OWN),
        Source.ALIKE: new(alike, MOST_ALIKE),
        Source.NEAR: new(near, MOST_NEAR),
        Source.CONTEXT: first(context, MOST_IN_CONTEXT),
        Source.VIEWED: first(_Scores(view_days.keys, 1 / (1 + view_days.figures)), MOST_VIEWED),
        Source.POPULAR: for_all(shelf.popular if popular is None else popular, max(MOST_POPULAR, most_popular)),
        Source.RISING: for_all(shelf.rising if rising is None else rising, MOST_RISING),
    }
    every = np.concatenate(list(sources.values()))
    keys, place = np.unique(every, return_inverse=True)
    source = np.zeros(len(keys), dtype=np.int64)
    np.bitwise_or.at(source, place, np.repeat([int(bit) for bit in sources], [len(of) for of in sources.values()]))
    lying = asked.context[0] * products + asked.context[1]
    out = ~np.isin(keys, lying)
    keys, source = keys[out], source[out]
    customer, product = np.divmod(keys, products)
    columns = [
        _rows_at(own_keys, own.matrix, keys),
        shelf.traits[product],
        customer_matrix(asked.baskets, own)[customer],
        _of_categories(shelf, asked, customer, product),
        alike.at(keys, otherwise=0.0)[:, None],
        near.at(keys, otherwise=0.0)[:, None],
        together.at(keys, otherwise=0.0)[:, None],
        _in_cart(asked, context, keys, customer),
        viewed.at(keys, otherwise=0.0)[:, None],
        view_days.at(keys, otherwise=np.nan)[:, None],
    ]
    matrix = np.concatenate([np.asarray(column, dtype=np.float32) for column in columns], axis=1)
    return Candidates(customer=customer, product=product, source=source, matrix=matrix)


def _scores(
    shelf: Shelf, asked: Asked, customer: Numbers, product: Numbers, liked: NDArray[np.float32], products: int
) -> tuple[_Scores, _Scores, _Scores, _Scores]:
    """Return by customer and product what those alike, and products near, say of it."""
    known = asked.alike.number != NOBODY
    rows, sizes = slices(shelf.references.start, asked.alike.number[known])
    owner = np.repeat(np.nonzero(known)[0], sizes)
    weight = np.repeat(asked.alike.likeness[known], sizes) * shelf.references.weight[rows]
    whole = asked.alike.likeness.sum(axis=1, dtype=np.float64)
    alike = _summed(owner * products + shelf.references.product[rows], weight / whole[owner])
    order = np.lexsort((product, -liked, customer))
    looked = np.sort(order[_places(customer[order]) < _MOST_LOOKED_FROM])
    totals = np.bincount(customer[looked], liked[looked], minlength=asked.count)
    shares = liked[looked] / totals[customer[looked]]
    near = _neighbours(shelf.same_customers, customer[looked], product[looked], shares, products)
    last = asked.baskets.places_from_last[asked.baskets.basket] == 0
    lately, of_last = asked.baskets.customer[asked.baskets.basket[last]], asked.baskets.product[last].astype(np.int64)
    together = _neighbours(shelf.together, lately, of_last, _equal(lately, asked.count), products)
    inside, lying = asked.context
    context = _neighbours(shelf.together, inside, lying, _equal(inside, asked.count), products)
    return alike, near, together, context


def _neighbours(nearest: Nearest, customer: Numbers, product: Numbers, share: Floats, products: int) -> _Scores:
    number, likeness = nearest.number[product], nearest.likeness[product]
    known = number != NOBODY
    owner = np.broadcast_to(customer[:, None], number.shape)[known]
    weighed = (np.asarray(share)[:, None] * likeness)[known]
    return _summed(owner.astype(np.int64) * products + number[known], weighed)


def _equal(customer: Numbers, customers: int) -> Floats:
    """Return equal shares of each customer's rows."""
    return 1.0 / np.bincount(customer, minlength=customers)[customer]


def _summed(keys: Numbers, figures: Floats) -> _Scores:
    order = np.argsort(keys, kind="stable")
    keys, figures = keys[order], np.asarray(figures, dtype=np.float64)[order]
    start = np.flatnonzero(np.diff(keys, prepend=-1))
    return _Scores(keys[start], np.add.reduceat(figures, start) if len(start) else figures)


def _first(keys: Numbers, figures: Floats, most: int, products: int) -> Numbers:
    """Return each customer's keys with the greatest figures, equal ones in the order of products."""
    customer = keys // products
    order = np.lexsort((keys, -figures, customer))
    return keys[order[_places(customer[order]) < most]]


def _places(customer: Numbers) -> Numbers:
    """Return the place of every row among its customer's, rows in the order of customers."""
    found: Numbers = np.arange(len(customer)) - np.searchsorted(customer, customer)
    return found


def _rows_at(own_keys: Numbers, matrix: NDArray[np.float32], keys: Numbers) -> NDArray[np.float32]:
    """Return what is known of pairs; of those that were not bought, counts of nothing and no times."""
    unknown = np.full(matrix.shape[1], np.nan, dtype=np.float32)
    unknown[_ZERO_WHERE_NEW] = 0
    if not len(own_keys):
        return np.tile(unknown, (len(keys), 1))
    place = np.minimum(np.searchsorted(own_keys, keys), len(own_keys) - 1)
    return np.where((own_keys[place] == keys)[:, None], matrix[place], unknown)


def _of_categories(shelf: Shelf, asked: Asked, customer: Numbers, product: Numbers) -> NDArray[np.float32]:
    categories = max(shelf.category_count, 1)
    own = pairs(in_categories(asked.baskets, shelf.category, categories), shelf.category_traits)
    of = shelf.category[product].astype(np.int64)
    keys = np.where(of == NOBODY, NOBODY, customer * categories + of)
    found = _rows_at(own.customer * categories + own.product, own.matrix, keys)[:, _CATEGORY_PLACES]
    found[of == NOBODY] = np.nan
    return found


def _views(asked: Asked, products: int) -> tuple[_Scores, _Scores]:
    """Return how often and how long ago customers looked at products."""
    keys = asked.viewed[0] * products + asked.viewed[1]
    counts = _summed(keys, np.ones(len(keys)))
    order = np.lexsort((asked.viewed_days, keys))
    start = np.flatnonzero(np.diff(keys[order], prepend=-1))
    return counts, _Scores(keys[order][start], asked.viewed_days[order][start])


def _in_cart(asked: Asked, context: _Scores, keys: Numbers, customer: Numbers) -> Floats:
    """Return how near products are to those in the cart, and how many are in it."""
    count = np.bincount(asked.context[0], minlength=asked.count)[customer]
    score = np.where(count > 0, context.at(keys, otherwise=0.0), np.nan)
    return np.stack([score, count], axis=1)
