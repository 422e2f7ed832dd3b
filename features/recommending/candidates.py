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
from features.recommending.grouped import look_up, places, slices
from features.recommending.nearest import NOBODY, Nearest
from features.recommending.pairs import (
    CUSTOMER_FEATURES,
    PAIR_FEATURES,
    PRODUCT_FEATURES,
    Pairs,
    customer_matrix,
    pairs,
)
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
        place, is_there = look_up(self.keys, keys)
        found: Floats = np.where(is_there, self.figures[place], otherwise)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of customers and products, by keys of both: what was bought, and every score."""

    own: Pairs
    own_keys: Numbers
    alike: _Scores
    near: _Scores
    together: _Scores
    context: _Scores
    viewed: _Scores
    view_days: _Scores

    @classmethod
    def of(cls, shelf: Shelf, asked: Asked) -> _Known:
        products, baskets = shelf.stride, asked.baskets
        own = pairs(baskets, shelf.traits)
        looked, shares = _looked_from(own, asked.count)
        last = baskets.places_from_last[baskets.basket] == 0
        lately, of_last = baskets.customer[baskets.basket[last]], baskets.product[last].astype(np.int64)
        inside, lying = asked.context
        seen = asked.viewed[0] * products + asked.viewed[1]
        order = np.lexsort((asked.viewed_days, seen))
        first = order[np.flatnonzero(np.diff(seen[order], prepend=-1))]
        return cls(
            own=own,
            own_keys=own.customer * products + own.product,
            alike=_liked_by_those_alike(shelf, asked.alike),
            near=_neighbours(shelf.same_customers, own.customer[looked], own.product[looked], shares, products),
            together=_neighbours(shelf.together, lately, of_last, _equal(lately, asked.count), products),
            context=_neighbours(shelf.together, inside, lying, _equal(inside, asked.count), products),
            viewed=_summed(seen, np.ones(len(seen))),
            view_days=_Scores(seen[first], asked.viewed_days[first]),
        )


def find_candidates(
    shelf: Shelf,
    asked: Asked,
    *,
    popular: NDArray[np.int32] | None = None,
    is_allowed: IsAllowed | None = None,
    most_popular: int = MOST_POPULAR,
) -> Candidates:
    """Find what customers may want next.

    Parameters
    ----------
    shelf
        What is known of the products.
    popular
        Products that are offered to everyone, best first; the shelf's where none are given.
    is_allowed
        Which of some products may be offered: of (n,) numbers (n,) booleans. All, where it is not given.
    most_popular
        How many of the popular ones everyone gets, where that is more than 10.
    """
    known = _Known.of(shelf, asked)
    offered = {
        Source.POPULAR: (shelf.popular if popular is None else popular, max(MOST_POPULAR, most_popular)),
        Source.RISING: (shelf.rising, MOST_RISING),
    }
    keys, source = _found(known, asked, shelf.stride, offered, is_allowed)
    customer, product = np.divmod(keys, shelf.stride)
    matrix = _matrix(shelf, asked, known, keys)
    return Candidates(customer=customer, product=product, source=source, matrix=matrix)


def _found(
    known: _Known,
    asked: Asked,
    products: int,
    offered: Mapping[Source, tuple[NDArray[np.int32], int]],
    is_allowed: IsAllowed | None,
) -> tuple[Numbers, Numbers]:
    """Return the keys of all candidates, ascending, and where each comes from."""

    def allowed(keys: Numbers) -> NDArray[np.bool_]:
        return np.ones(len(keys), dtype=bool) if is_allowed is None else is_allowed(keys % products)

    def first(keys: Numbers, figures: Floats, most: int) -> Numbers:
        kept = (figures > 0) & allowed(keys)
        return _first(keys[kept], figures[kept], most, products)

    def new(scores: _Scores, most: int) -> Numbers:
        is_new = ~np.isin(scores.keys, known.own_keys)
        return first(scores.keys[is_new], scores.figures[is_new], most)

    def for_all(numbers: NDArray[np.int32], most: int) -> Numbers:
        told = numbers.astype(np.int64)
        told = told[allowed(told)][:most]
        return (np.arange(asked.count)[:, None] * products + told).ravel()

    sources = {
        Source.OWN: first(known.own_keys, known.own.matrix[:, LIKED].astype(float), MOST_OWN),
        Source.ALIKE: new(known.alike, MOST_ALIKE),
        Source.NEAR: new(known.near, MOST_NEAR),
        Source.CONTEXT: first(known.context.keys, known.context.figures, MOST_IN_CONTEXT),
        Source.VIEWED: first(known.view_days.keys, 1 / (1 + known.view_days.figures), MOST_VIEWED),
        **{source: for_all(*told) for source, told in offered.items()},
    }
    keys, place = np.unique(np.concatenate(list(sources.values())), return_inverse=True)
    source = np.zeros(len(keys), dtype=np.int64)
    np.bitwise_or.at(source, place, np.repeat([int(bit) for bit in sources], [len(of) for of in sources.values()]))
    is_out_of_cart = ~np.isin(keys, asked.context[0] * products + asked.context[1])
    return keys[is_out_of_cart], source[is_out_of_cart]


def _matrix(shelf: Shelf, asked: Asked, known: _Known, keys: Numbers) -> NDArray[np.float32]:
    """Return what is known of candidates, by `CANDIDATE_FEATURES`."""
    customer, product = np.divmod(keys, shelf.stride)
    carts = np.bincount(asked.context[0], minlength=asked.count)[customer]
    scores = [
        known.alike.at(keys, otherwise=0.0),
        known.near.at(keys, otherwise=0.0),
        known.together.at(keys, otherwise=0.0),
        np.where(carts > 0, known.context.at(keys, otherwise=0.0), np.nan),
        carts,
        known.viewed.at(keys, otherwise=0.0),
        known.view_days.at(keys, otherwise=np.nan),
    ]
    parts = [
        _rows_at(known.own_keys, known.own.matrix, keys),
        shelf.traits[product],
        customer_matrix(asked.baskets, known.own)[customer],
        _of_categories(shelf, asked, customer, product),
        np.stack(scores, axis=1),
    ]
    return np.concatenate([np.asarray(part, dtype=np.float32) for part in parts], axis=1)


def _liked_by_those_alike(shelf: Shelf, alike: Nearest) -> _Scores:
    """Return by customer and product the mean weight that customers alike give it, by likeness."""
    known = alike.number != NOBODY
    rows, sizes = slices(shelf.references.start, alike.number[known])
    owner = np.repeat(np.nonzero(known)[0], sizes)
    weight = np.repeat(alike.likeness[known], sizes) * shelf.references.weight[rows]
    whole = alike.likeness.sum(axis=1, dtype=np.float64)
    return _summed(owner * shelf.stride + shelf.references.product[rows], weight / whole[owner])


def _looked_from(own: Pairs, customers: int) -> tuple[Numbers, Floats]:
    """Return the rows of what each customer likes most, and their shares of the customer's liking."""
    liked = own.matrix[:, LIKED]
    order = np.lexsort((own.product, -liked, own.customer))
    looked = np.sort(order[places(own.customer[order]) < _MOST_LOOKED_FROM])
    totals = np.bincount(own.customer[looked], liked[looked], minlength=customers)
    return looked, liked[looked] / totals[own.customer[looked]]


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
    return keys[order[places(customer[order]) < most]]


def _rows_at(own_keys: Numbers, matrix: NDArray[np.float32], keys: Numbers) -> NDArray[np.float32]:
    """Return what is known of pairs; of those that were not bought, counts of nothing and no times."""
    unknown = np.full(matrix.shape[1], np.nan, dtype=np.float32)
    unknown[_ZERO_WHERE_NEW] = 0
    if not len(own_keys):
        return np.tile(unknown, (len(keys), 1))
    place, is_there = look_up(own_keys, keys)
    return np.where(is_there[:, None], matrix[place], unknown)


def _of_categories(shelf: Shelf, asked: Asked, customer: Numbers, product: Numbers) -> NDArray[np.float32]:
    categories = max(shelf.category_count, 1)
    own = pairs(in_categories(asked.baskets, shelf.category, categories), shelf.category_traits)
    of = shelf.category[product].astype(np.int64)
    keys = np.where(of == NOBODY, NOBODY, customer * categories + of)
    found = _rows_at(own.customer * categories + own.product, own.matrix, keys)[:, _CATEGORY_PLACES]
    found[of == NOBODY] = np.nan
    return found
