"""From what is known of customers to lists of products with reasons: one way for the endpoint and for all customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facts.errors import UnknownName, counted
from features.recommending.candidates import (
    CANDIDATE_FEATURES,
    Asked,
    Candidates,
    Source,
    find_candidates,
)
from features.recommending.nearest import Nearest
from features.recommending.night import ShopNight
from features.recommending.pairs import trait
from features.recommending.replenishment import expect
from scoring.list_order import OfCustomers, put_in_order
from scoring.ranker import Ranker

Kind = Literal["next_basket", "discover", "replenish"]
KINDS: tuple[Kind, ...] = ("next_basket", "discover", "replenish")
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_OFFERED = 200  # products that are offered to everyone who is not known well enough
_PLACE = {name: place for place, name in enumerate(CANDIDATE_FEATURES)}
DUE_WITHIN_DAYS = 3.0  # from now, until the usual gap is over


def kind_of(name: str) -> Kind:
    """Return the kind of that name; raise UnknownName where there is none."""
    for kind in KINDS:
        if kind == name:
            return kind
    raise UnknownName("kind", name, known=KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for, alike for all customers of a question.

    Parameters
    ----------
    kind
        The next basket; only products that the customer never bought; or only those that are due again.
    filters
        Groups by grouping: a product must be of one of them in every grouping named.
    excluded
        Numbers of products that are not offered.
    diversity
        How much a product of a category that the list already has loses, in [0, 1]; 0 leaves the ranking as it is.
    repeat_share
        How much of the count may be products that the customer bought before, in [0, 1], at most.
    """

    count: int = 10
    kind: Kind = "next_basket"
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    excluded: Numbers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    diversity: float = 0.0
    repeat_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When what is due is expected, by keys that ascend with customer and product.

    Parameters
    ----------
    due_days
        In how many days the usual gap is over; less than 0 where it has been over for so long.
    interval
        (n, 3) in how many days a tenth, half and nine tenths of what comes within the horizon have come.
    probability
        Whether it comes within the horizon at all; missing, as the interval, where too little was seen to measure it.
    """

    products: int
    key: Numbers
    due_days: Floats
    interval: Floats
    probability: Floats
    horizon_days: float

    def keys_of(self, found: Candidates) -> Numbers:
        """Return the key of every candidate."""
        return found.customer * self.products + found.product

    def at(self, keys: Numbers) -> Due:
        """Return what is expected of some keys, all of them due."""
        place = np.searchsorted(self.key, keys)
        return replace(
            self,
            key=keys,
            due_days=self.due_days[place],
            interval=self.interval[place],
            probability=self.probability[place],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """The products chosen, in the order of customers and then of their places; `row` is of the candidates.

    `due` is there where what is due was asked for.
    """

    customer: Numbers
    product: Numbers
    score: Floats
    row: Numbers
    candidates: Candidates
    due: Due | None = None


def recommend(night: ShopNight, ranker: Ranker, asked: Asked, wish: Wish) -> Lists:
    """Choose products for every customer that is asked about.

    Of customers of whom no basket is known, what is near the cart comes first, then what is popular.

    Raises
    ------
    UnknownFilter
        Products are not grouped by what a filter names.
    """
    catalog, chosen = night.catalog, night.catalog.chosen(wish.filters)

    def is_allowed(products: Numbers) -> NDArray[np.bool_]:
        kept = catalog.is_offered[products] & ~np.isin(products, wish.excluded)
        return kept & catalog.are_chosen(products, chosen) if chosen else kept

    popular = None
    if chosen:
        recent = trait(night.shelf.traits, "product_recent_basket_count")
        popular = catalog.best_of(chosen, recent, MOST_OFFERED)
    found = find_candidates(night.shelf, asked, popular=popular, is_allowed=is_allowed, most_popular=max(wish.count, 1))
    due = _due(night, asked) if wish.kind == "replenish" else None
    kept = np.flatnonzero(_is_of_kind(found, wish.kind, due))
    score = ranker.score(found.matrix[kept])
    unknown = asked.baskets.basket_counts[found.customer[kept]] == 0
    score = np.where(unknown, _by_context(found.matrix[kept]), score)
    order = put_in_order(
        OfCustomers(
            customer=found.customer[kept],
            product=found.product[kept],
            score=score,
            is_own=is_own(found.matrix[kept]),
            category=night.shelf.category[found.product[kept]],
        ),
        count=wish.count,
        diversity=wish.diversity,
        repeat_share=wish.repeat_share,
    )
    rows = kept[order]
    return Lists(
        customer=found.customer[rows],
        product=found.product[rows],
        score=score[order],
        row=rows,
        candidates=found,
        due=due and due.at(due.keys_of(found)[rows]),
    )


def is_own(matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return of (rows, features) candidates whether their customers bought them before."""
    return matrix[:, _PLACE["pair_count"]] > 0


@dataclass(frozen=True, slots=True)
class Why:
    """Why a product is offered: a sentence, and where it comes from."""

    reason: str
    source: str


def explain(night: ShopNight, asked: Asked, lists: Lists) -> list[Why]:
    """Say of every product of the lists why it is there."""
    return [_why(night, asked, lists, place) for place in range(len(lists.product))]


def _is_of_kind(found: Candidates, kind: Kind, due: Due | None) -> NDArray[np.bool_]:
    if due is not None:
        return np.isin(due.keys_of(found), due.key)
    return ~is_own(found.matrix) if kind == "discover" else np.ones(len(found.product), dtype=bool)


def _due(night: ShopNight, asked: Asked) -> Due:
    """Return what is due: the usual gap of the customer and the product is over within three days."""
    past = night.products_again
    remaining = expect(asked.baskets, past.rhythms)
    is_due = remaining.due_days <= DUE_WITHIN_DAYS
    products = night.shelf.stride
    return Due(
        products=products,
        key=(remaining.customer * products + remaining.item)[is_due],
        due_days=remaining.due_days[is_due],
        interval=past.interval(remaining)[is_due],
        probability=past.share(remaining)[is_due],
        horizon_days=past.horizon_days,
    )


def _by_context(matrix: NDArray[np.float32]) -> Floats:
    """Return what candidates of an unknown customer are ordered by: near the cart first, then popular."""
    near = np.nan_to_num(matrix[:, _PLACE["context_score"]].astype(np.float64))
    popular = matrix[:, _PLACE["product_recent_basket_count"]].astype(np.float64)
    return near + popular / (1e6 + popular)


def _why(night: ShopNight, asked: Asked, lists: Lists, place: int) -> Why:
    row = lists.row[place]
    told = dict(zip(CANDIDATE_FEATURES, lists.candidates.matrix[row].tolist(), strict=True))
    if told["pair_count"]:
        return Why(_own(told), "own")
    source, product, customer = int(lists.candidates.source[row]), int(lists.product[place]), int(lists.customer[place])
    if source & Source.CONTEXT:
        near = _nearest_of(night.shelf.together, asked.context[1][asked.context[0] == customer], product)
        return Why(f"often bought with {night.catalog.called(near)}", "together")
    if source & Source.VIEWED:
        return Why(f"looked at {_days(told['view_recency_days'])} ago", "viewed")
    if source & Source.ALIKE:
        return Why("customers like you buy it", "similar_customers")
    if source & Source.NEAR:
        own = asked.baskets.product[asked.baskets.customer[asked.baskets.basket] == customer]
        near = _nearest_of(night.shelf.same_customers, np.unique(own).astype(np.int64), product)
        return Why(f"bought by customers who buy {night.catalog.called(near)}", "similar_products")
    which = "popular" if source & Source.POPULAR else "rising"
    recent = counted(int(told["product_recent_basket_count"]), "basket")
    return Why(f"{which}: in {recent} of the last 30 days", which)


def _own(told: Mapping[str, float]) -> str:
    last = _days(told["pair_recency_days"])
    if told["pair_count"] == 1:
        return f"bought {last} ago"
    return f"bought every {_days(told['pair_gap_days_mean'])}, last {last} ago"


def _nearest_of(nearest: Nearest, products: Numbers, to: int) -> int:
    """Return which of some products has another as its nearest."""
    likeness = np.where(nearest.number[products] == to, nearest.likeness[products], 0.0).max(axis=1)
    return int(products[int(np.argmax(likeness))])


def _days(days: float) -> str:
    return "less than a day" if days < 1 else counted(round(days), "day")
