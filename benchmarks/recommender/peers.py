"""Published and common ways to foretell a next basket, each from past baskets to lists of products.

Each makes two kinds of lists: of all products, and (`is_new`) of those that the customer did not buy before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facts.baskets import Baskets
from training.metrics.ranking import NOBODY
from training.recommender.baselines import Floats, Ranked, by_frequency, by_popularity, counts_of, filled, weighed

_BLOCK = 512  # customers whose products are scored at once


class Peer(Protocol):
    """A way to foretell: of past baskets, (customers, count) products."""

    def __call__(self, past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
        """Rank products for every customer."""


def popularity(past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
    """Rank products by in how many baskets they are, for all customers alike; new ones leave out each one's own."""
    told = _popularity(past)
    if not is_new:
        return by_popularity(told, len(past.customer_ids), count)
    own, best = counts_of(past), np.argsort(-told, kind="stable")
    ranked = np.full((own.shape[0], count), NOBODY, np.int64)
    for customer in range(own.shape[0]):
        held = own.indices[own.indptr[customer] : own.indptr[customer + 1]]
        first = best[: count + len(held)]
        rest = first[~np.isin(first, held)][:count]
        ranked[customer, : len(rest)] = rest
    return ranked


def personal_frequency(past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
    """Rank a customer's own products by in how many baskets they are, equal ones by popularity; no others."""
    if is_new:
        return np.full((len(past.customer_ids), count), NOBODY, np.int64)
    return by_frequency(past, _popularity(past), count)


def personal_then_popular(past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
    """Rank as `personal_frequency`, and fill the list with the most popular other products."""
    if is_new:
        return popularity(past, count, is_new=True)
    return filled(personal_frequency(past, count), _popularity(past))


@dataclass(frozen=True, slots=True, kw_only=True)
class TifuKnn:
    """Temporal item frequency and nearest neighbours.

    A customer's baskets are put into groups of `group_size`, the first one smaller. A product weighs `within_decay` to
    the power of how many baskets of its group came later, averaged in the group, and `group_decay` to the power of how
    many groups came later, averaged over the groups. What is foretold is `alpha` of the customer's own weights and the
    rest of the mean of the `neighbours` nearest customers' (Euclidean distance).

    References
    ----------
    Hu, He, Gao & Zhang (2020), "Modeling personalized item frequency information for next-basket recommendation".
    """

    group_size: int = 7
    within_decay: float = 0.9
    group_decay: float = 0.7
    alpha: float = 0.7
    neighbours: int = 300

    def __call__(self, past: Baskets, count: int, *, is_new: bool = False) -> Ranked:
        """Rank products for every customer."""
        every = np.arange(len(past.customer_ids))
        ((_, ranked),) = self.with_alphas(past, count, [self.alpha], every, is_new=is_new)
        return ranked

    def with_alphas(
        self, past: Baskets, count: int, alphas: Sequence[float], asked: NDArray[np.int64], *, is_new: bool = False
    ) -> list[tuple[TifuKnn, Ranked]]:
        """Rank products for the customers that are asked for, by several values of `alpha`."""
        own = self.weights(past)
        ranked: list[list[Ranked]] = [[] for _ in alphas]
        for block, near in _with_neighbours(own, self.neighbours, asked):
            dense = block.toarray()
            for alpha, found in zip(alphas, ranked, strict=True):
                scores = alpha * dense + (1 - alpha) * near
                found.append(_best_dense(np.where(dense > 0, 0, scores) if is_new else scores, count))
        return [
            (replace(self, alpha=alpha), np.concatenate(found)) for alpha, found in zip(alphas, ranked, strict=True)
        ]

    def weights(self, past: Baskets) -> sparse.csr_array:
        """Return (customers, products) the weights of what each customer bought."""
        group, within = np.divmod(past.places_from_last, self.group_size)
        counts = past.basket_counts[past.customer]
        groups = -(-counts // self.group_size)
        sizes = np.where(group == groups - 1, counts - (groups - 1) * self.group_size, self.group_size)
        return weighed(past, self.within_decay**within / sizes * self.group_decay**group / groups)


def nearest_items(past: Baskets, count: int, *, is_new: bool = False, neighbours: int = 100) -> Ranked:
    """Rank by the sum of the cosines of a product with all that a customer bought (implicit's `CosineRecommender`)."""
    from implicit.nearest_neighbours import CosineRecommender

    return _by_implicit(CosineRecommender(K=neighbours), past, count, is_new=is_new)


def factorised(past: Baskets, count: int, *, is_new: bool = False, factors: int = 64) -> Ranked:
    """Rank by implicit feedback's alternating least squares (implicit's `AlternatingLeastSquares`).

    References
    ----------
    Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets".
    """
    from implicit.als import AlternatingLeastSquares

    return _by_implicit(AlternatingLeastSquares(factors=factors, random_state=1), past, count, is_new=is_new)


def _by_implicit(
    model: Any,  # noqa: ANN401 - either of its models
    past: Baskets,
    count: int,
    *,
    is_new: bool,
) -> Ranked:
    bought = sparse.csr_matrix(counts_of(past).astype(np.float32))
    model.fit(bought, show_progress=False)
    ranked, _ = model.recommend(np.arange(bought.shape[0]), bought, N=count, filter_already_liked_items=is_new)
    if is_new:  # lists that are too short are filled with what was left out
        ranked = np.where(bought[np.arange(bought.shape[0])[:, None], ranked].toarray() > 0, NOBODY, ranked)
    return ranked.astype(np.int64)


def _with_neighbours(
    own: sparse.csr_array, count: int, asked: NDArray[np.int64]
) -> Iterator[tuple[sparse.csr_array, Floats]]:
    """Yield customers' weights in blocks, each with the (customers, products) mean of their nearest neighbours'."""
    squares, count = own.multiply(own).sum(axis=1), min(count, own.shape[0] - 1)
    for start in range(0, len(asked), _BLOCK):
        whose = asked[start : start + _BLOCK]
        block = own[whose]
        far = squares[None, :] - 2 * (block @ own.T).toarray()
        far[np.arange(len(whose)), whose] = np.inf
        nearest = np.argpartition(far, count - 1, axis=1)[:, :count] if count else np.empty((len(far), 0), int)
        rows = np.repeat(np.arange(block.shape[0]), nearest.shape[1])
        chosen = sparse.csr_array(
            (np.full(nearest.size, 1 / max(count, 1)), (rows, nearest.ravel())), shape=(block.shape[0], own.shape[0])
        )
        yield block, (chosen @ own).toarray()


def _popularity(past: Baskets) -> Floats:
    return np.bincount(past.product, minlength=len(past.product_ids)).astype(float)


def _best_dense(scores: Floats, count: int) -> Ranked:
    most = min(count, scores.shape[1])
    top = np.argpartition(-scores, most - 1, axis=1)[:, :most]
    held = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-held, axis=1, kind="stable")
    best = np.where(np.take_along_axis(held, order, axis=1) > 0, np.take_along_axis(top, order, axis=1), NOBODY)
    return np.pad(best, ((0, 0), (0, count - most)), constant_values=NOBODY)
