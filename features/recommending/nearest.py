"""What lies near what: products of the same baskets, products of the same customers, customers of the same products.

All by the cosine of what was bought, with a little added to the counts, so that two things that met once by chance are
not each other's nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facts.baskets import Baskets
from features.recommending.grouped import places, slices

NOBODY = -1  # in a list of numbers: none
_SHRINKAGE = 5.0  # baskets or customers, added to each count under the root
_BLOCK = 2_000  # rows whose likeness is worked out at once
_MOST_OF_CUSTOMER = 100  # products of a customer, most recent first, by which other products are like them
_MOST_LIKED = 50  # products by which customers are held against each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """(rows, count) numbers of the nearest others, nearest first, `NOBODY` where there are fewer; how like they are.

    Likeness is in [0, 1].
    """

    number: NDArray[np.int32]
    likeness: NDArray[np.float32]


def bought_together(baskets: Baskets, count: int) -> Nearest:
    """Return for every product those that are in the same baskets."""
    held = (np.ones(len(baskets.basket), dtype=np.float32), (baskets.basket, baskets.product))
    return _nearest(sparse.csr_array(held, shape=(len(baskets.customer), len(baskets.product_ids))), count)


def bought_by_the_same(baskets: Baskets, count: int) -> Nearest:
    """Return for every product those that the same customers buy, of each customer the latest 100 products."""
    customers, products = len(baskets.customer_ids), len(baskets.product_ids)
    keys = baskets.customer[baskets.basket].astype(np.int64) * products + baskets.product
    latest = np.unique(keys[::-1], return_index=True)[1]  # the last row of each customer and product
    rows = np.sort(len(keys) - 1 - latest)
    owner, product = np.divmod(keys[rows], max(products, 1))
    kept = _place_from_end(owner) < _MOST_OF_CUSTOMER
    held = (np.ones(int(kept.sum()), dtype=np.float32), (owner[kept], product[kept]))
    return _nearest(sparse.csr_array(held, shape=(customers, products)), count)


def best_of_rows(scores: sparse.csr_array, count: int) -> Nearest:
    """Return of every row the columns with the greatest positive scores, equal ones in the order of their numbers."""
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    short = np.flatnonzero(scores.data >= _least_of_rows(scores, count)[rows])
    order = short[np.lexsort((scores.indices[short], -scores.data[short], rows[short]))]
    place = places(rows[order])
    kept, place = order[place < count], place[place < count]
    number = np.full((scores.shape[0], count), NOBODY, dtype=np.int32)
    likeness = np.zeros((scores.shape[0], count), dtype=np.float32)
    number[rows[kept], place] = scores.indices[kept]
    likeness[rows[kept], place] = scores.data[kept]
    return Nearest(number=number, likeness=likeness)


def _least_of_rows(scores: sparse.csr_array, count: int) -> NDArray[np.float64]:
    """Return of every row the count-th greatest score, the least positive number where there are fewer."""
    least = np.full(scores.shape[0], np.finfo(np.float32).tiny)
    for row in np.flatnonzero(np.diff(scores.indptr) > count).tolist():
        held = scores.data[scores.indptr[row] : scores.indptr[row + 1]]
        least[row] = max(least[row], np.partition(held, len(held) - count)[len(held) - count])
    return least


def _nearest(held: sparse.csr_array, count: int) -> Nearest:
    """Return the nearest columns of each column of a table of ones."""
    columns = held.shape[1]
    scale = 1 / np.sqrt(np.bincount(held.indices, minlength=columns) + _SHRINKAGE, dtype=np.float32)
    by_column = sparse.csc_array(held)
    found = []
    for start in range(0, columns, _BLOCK):
        block = sparse.csr_array(sparse.csr_array(by_column[:, start : start + _BLOCK].T) @ held)
        rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)) + start
        block.data *= scale[rows] * scale[block.indices]
        block.data[rows == block.indices] = 0
        found.append(best_of_rows(block, count))
    return _joined(found, count)


def _joined(parts: list[Nearest], count: int) -> Nearest:
    empty = Nearest(number=np.empty((0, count), np.int32), likeness=np.empty((0, count), np.float32))
    parts = parts or [empty]
    return Nearest(
        number=np.concatenate([part.number for part in parts]),
        likeness=np.concatenate([part.likeness for part in parts]),
    )


def _place_from_end(owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many later rows each row's owner has; rows are in the order of owners."""
    ends = np.searchsorted(owner, owner, side="right")
    return ends - 1 - np.arange(len(owner))


@dataclass(frozen=True, slots=True, kw_only=True)
class Likes:
    """What customers like most: of each the products with the greatest weights, at most 50; weights are of length 1.

    `start` is (customers + 1,): the rows of `product` and `weight` of each.
    """

    start: NDArray[np.int64]
    product: NDArray[np.int32]
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, weights: sparse.csr_array) -> Likes:
        """Take the greatest of (customers, products) weights."""
        best = best_of_rows(weights, _MOST_LIKED)
        held = best.number != NOBODY
        length = np.sqrt((best.likeness**2).sum(axis=1, keepdims=True))
        scaled = np.divide(best.likeness, length, out=np.zeros_like(best.likeness), where=length > 0)
        start = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
        return cls(start=start, product=best.number[held], weight=scaled[held])

    def among(self, customers: NDArray[np.int64]) -> Likes:
        """Return the likes of some customers, in the order given."""
        rows, counts = slices(self.start, customers)
        start = np.concatenate([[0], np.cumsum(counts)])
        return Likes(start=start, product=self.product[rows], weight=self.weight[rows])

    def table(self, products: int) -> sparse.csr_array:
        """Return them as (customers, products)."""
        return sparse.csr_array((self.weight, self.product, self.start), shape=(len(self.start) - 1, products))


def nearest_customers(
    likes: Likes, references: Likes, own_place: NDArray[np.int64], *, products: int, count: int
) -> Nearest:
    """Return for customers the nearest of the references by the cosine of what they like.

    `own_place` is (customers,) where a customer is among the references, `NOBODY` where it is not: none is near itself.
    """
    asked, others = likes.table(products), sparse.csc_array(references.table(products).T)
    found = []
    for start in range(0, asked.shape[0], _BLOCK):
        block = sparse.csr_array(sparse.csr_array(asked[start : start + _BLOCK]) @ others)
        rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)) + start
        block.data[own_place[rows] == block.indices] = 0
        found.append(best_of_rows(block, count))
    return _joined(found, count)
