"""Questions of the past: what customers might have bought next as of an instant, and what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facts.baskets import Baskets
from features.recommending.candidates import Asked, Candidates, find_candidates
from features.recommending.grouped import places as places_in
from features.recommending.nearest import Nearest
from features.recommending.shelf import Shelf, build_shelf
from scoring.list_order import OfCustomers, put_in_order
from scoring.ranker import Ranker
from scoring.recommend import is_own
from training.metrics.ranking import NOBODY

Numbers = NDArray[np.int64]
MOST_ASKED = 5_000  # customers of a night that a ranking learns from, and as many that it is measured on
_AT_ONCE = 1_000  # customers whose candidates are found in one go
_WITH_CART = 3  # every third question has half of what was bought in the cart already


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What was known of a shop's products at a night, and the questions that came after it.

    `past` are everyone's baskets. `future` has one of each of the `count` customers that are asked about, in their
    order; `ask` puts together what was known of some of them, by their places, at the instants of those baskets.
    """

    shelf: Shelf
    past: Baskets
    count: int
    future: Baskets
    ask: Callable[[Numbers], Asked]

    @classmethod
    def of(cls, past: Baskets, future: Baskets | None = None) -> Night:
        """Learn all that is known of a past, which looks at every customer from the instant of its future basket.

        Without a future it is asked about all customers.
        """
        shelf, alike = build_shelf(past)
        every = np.arange(len(past.customer_ids))
        whose = every if future is None else np.unique(future.customer).astype(np.int64)

        def ask(places: Numbers) -> Asked:
            customers = whose[places]
            near = Nearest(number=alike.number[customers], likeness=alike.likeness[customers])
            return Asked(baskets=past.among(customers), alike=near)

        return cls(
            shelf=shelf,
            past=past,
            future=past.among(every[:0]) if future is None else future.among(whose),
            ask=ask,
            count=len(whose),
        )

    @property
    def wanted(self) -> sparse.csr_array:
        """Return (customers, products) what was bought, stored where it was."""
        cells = (np.ones(len(self.future.basket)), (self.future.customer[self.future.basket], self.future.product))
        shape = (len(self.future.customer_ids), len(self.future.product_ids))
        return sparse.csr_array(cells, shape=shape)

    def places(self, most: int | None = None) -> Numbers:
        """Return the places of the customers that are asked about; of more than `most` every so-manieth."""
        every = np.arange(self.count)
        return every if most is None else every[:: max(1, -(-self.count // most))]

    def questions(self, *, most: int | None = None) -> Iterator[tuple[Numbers, Asked]]:
        """Yield the places of the customers that are asked about, some at a time, and what was known of them.

        Of more than `most` every so-manieth.
        """
        places = self.places(most)
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            yield some, self.ask(some)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingRows:
    """Candidates with what came of them: `group` says in ascending order which rows are of one question."""

    matrix: NDArray[np.float32]
    label: NDArray[np.bool_]
    group: Numbers

    @classmethod
    def joined(cls, parts: list[RankingRows]) -> RankingRows:
        """Join the questions of several nights."""
        starts = np.cumsum([0, *(int(part.group.max(initial=-1)) + 1 for part in parts)])
        return cls(
            matrix=np.concatenate([part.matrix for part in parts]),
            label=np.concatenate([part.label for part in parts]),
            group=np.concatenate([part.group + start for part, start in zip(parts, starts[:-1], strict=True)]),
        )

    def some(self, most: int) -> RankingRows:
        """Return the rows of every so-manieth question, so that there are at most so many."""
        number = np.unique(self.group, return_inverse=True)[1]
        kept = number % max(1, -(-(int(number.max(initial=-1)) + 1) // most)) == 0
        return RankingRows(matrix=self.matrix[kept], label=self.label[kept], group=self.group[kept])


def ranking_rows(night: Night) -> RankingRows:
    """Return what a ranking learns from at a night: the candidates of those who bought at least one of them.

    Of every third question half of what was bought lies in the cart, so that carts are learned from, too.
    """
    wanted, parts, count = night.wanted, [], 0
    products = wanted.shape[1]  # some of them were not known at the night
    for places, asked in night.questions(most=MOST_ASKED):
        customer, product = wanted[places].nonzero()
        in_cart = ((customer + count) % _WITH_CART == 0) & (places_in(customer) % 2 == 0)
        count += len(places)
        in_cart &= product < night.shelf.product_count
        owner, lying = asked.context
        cart = (np.concatenate([owner, customer[in_cart]]), np.concatenate([lying, product[in_cart]]))
        found = find_candidates(night.shelf, replace(asked, context=cart))
        label = np.isin(found.customer * products + found.product, customer.astype(np.int64) * products + product)
        kept = np.isin(found.customer, found.customer[label])
        group = places[found.customer[kept]]
        parts.append(RankingRows(matrix=found.matrix[kept], label=label[kept], group=group))
    return RankingRows(
        matrix=np.concatenate([part.matrix for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        group=np.concatenate([part.group for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates of all questions of a night: the customers' places, and by some of them at a time their rows.

    `category` is the night's, by product.
    """

    places: Numbers
    parts: tuple[tuple[int, Candidates], ...]
    category: NDArray[np.int32]

    @classmethod
    def of(cls, night: Night, *, most: int | None = None) -> Found:
        """Find them; of more customers than `most`, for every so-manieth."""
        asked = list(night.questions(most=most))
        parts = tuple((len(places), find_candidates(night.shelf, question)) for places, question in asked)
        return cls(
            np.concatenate([places for places, _ in asked]) if asked else np.empty(0, np.int64),
            parts,
            night.shelf.category,
        )

    def rank(self, ranker: Ranker, count: int, *, diversity: float = 0.0, repeat_share: float = 1.0) -> Numbers:
        """Return (customers, count) products, best first, as `scoring.list_order.put_in_order` has them."""

        def ranked(found: Candidates, customers: int) -> Numbers:
            rows = OfCustomers(
                customer=found.customer,
                product=found.product,
                score=ranker.score(found.matrix),
                is_own=is_own(found.matrix),
                category=self.category[found.product],
            )
            order = put_in_order(rows, count=count, diversity=diversity, repeat_share=repeat_share)
            return _lists(found.customer[order], found.product[order], customers, count)

        return np.concatenate([ranked(found, customers) for customers, found in self.parts])


def _lists(customer: Numbers, product: Numbers, customers: int, count: int) -> Numbers:
    lists = np.full((customers, count), NOBODY, dtype=np.int64)
    lists[customer, places_in(customer)] = product
    return lists


def last_baskets(baskets: Baskets) -> tuple[Baskets, Baskets]:
    """Split off the last basket of every customer who has more than one."""
    return baskets.split((baskets.places_from_last == 0) & (baskets.basket_counts[baskets.customer] > 1))
