"""Published and common ways to foretell a next basket, each from past baskets to lists of products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facts.baskets import Baskets
from training.metrics.ranking import NOBODY
from training.recommender.baselines import Floats, Ranked, by_frequency, by_popularity, counts_of, filled, weighed

Peer = Callable[[Baskets, int], Ranked]
_BLOCK = 512  # customers whose products are scored at once


def popularity(past: Baskets, count: int) -> Ranked:
    """Rank products by in how many baskets they are, for all customers alike."""
    return by_popularity(_popularity(past), len(past.customer_ids), count)


def personal_frequency(past: Baskets, count: int) -> Ranked:
    """Rank a customer's own products by in how many baskets they are, equal ones by popularity; no others."""
    return by_frequency(past, _popularity(past), count)


def personal_then_popular(past: Baskets, count: int) -> Ranked:
    """Rank as `personal_frequency`, and fill the list with the most popular other products."""
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

    def __call__(self, past: Baskets, count: int) -> Ranked:
        """Rank products for every customer."""
        ((_, ranked),) = self.with_alphas(past, count, [self.alpha], np.arange(len(past.customer_ids)))
        return ranked

    def with_alphas(
        self, past: Baskets, count: int, alphas: Sequence[float], asked: NDArray[np.int64]
    ) -> list[tuple[TifuKnn, Ranked]]:
        """Rank products for the customers that are asked for, by several values of `alpha`."""
        own = self.weights(past)
        ranked: list[list[Ranked]] = [[] for _ in alphas]
        for block, near in _with_neighbours(own, self.neighbours, asked):
            dense = block.toarray()
            for alpha, found in zip(alphas, ranked, strict=True):
                found.append(_best_dense(alpha * dense + (1 - alpha) * near, count))
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


def nearest_items(past: Baskets, count: int, *, neighbours: int = 100) -> Ranked:
    """Rank by the sum of the cosines of a product with all that a customer bought (implicit's `CosineRecommender`)."""
    from implicit.nearest_neighbours import CosineRecommender

    return _by_implicit(CosineRecommender(K=neighbours), past, count)


def factorised(past: Baskets, count: int, *, factors: int = 64) -> Ranked:
    """Rank by implicit feedback's alternating least squares (implicit's `AlternatingLeastSquares`).

    References
    ----------
    Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets".
    """
    from implicit.als import AlternatingLeastSquares

    return _by_implicit(AlternatingLeastSquares(factors=factors, random_state=1), past, count)


def _by_implicit(model: Any, past: Baskets, count: int) -> Ranked:  # noqa: ANN401 - either of its models
    bought = sparse.csr_matrix(counts_of(past).astype(np.float32))
    model.fit(bought, show_progress=False)
    ranked, _ = model.recommend(np.arange(bought.shape[0]), bought, N=count, filter_already_liked_items=False)
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
