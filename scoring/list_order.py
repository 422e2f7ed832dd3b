"""From scores to lists: the best first, and of what was bought before, or is of one kind, as much as is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.recommending.grouped import places
from features.recommending.nearest import NOBODY

Numbers = NDArray[np.int64]
_REORDERED = 4  # times as many as asked for are looked at when a list is made more varied


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCustomers:
    """(rows,) of products that may be offered: to whom, which, its score, whether that one bought it, its category."""

    customer: Numbers
    product: Numbers
    score: NDArray[np.float64]
    is_own: NDArray[np.bool_]
    category: NDArray[np.integer]


def put_in_order(rows: OfCustomers, *, count: int, diversity: float = 0.0, repeat_share: float = 1.0) -> Numbers:
    """Return the rows that make the lists, in the order of customers and then of places.

    Parameters
    ----------
    count
        Products of a list, at most.
    diversity
        How much of the range of a customer's scores a product loses for each of its category before it, in [0, 1].
    repeat_share
        How much of the count may have been bought before, at most, in [0, 1].
    """
    order = np.lexsort((rows.product, -rows.score, rows.customer))
    if repeat_share < 1:
        order = _with_repeated(rows, order, int(repeat_share * count))
    most = count if diversity == 0 else count * _REORDERED
    order = order[places(rows.customer[order]) < most]
    return _varied(rows, order, count, diversity) if diversity > 0 and len(order) else order


def _with_repeated(rows: OfCustomers, order: Numbers, most: int) -> Numbers:
    """Return the rows without those that were bought before and come after so many of them."""
    own = order[rows.is_own[order]]
    dropped = own[places(rows.customer[own]) >= most]
    return order[~np.isin(order, dropped)]


def _varied(rows: OfCustomers, order: Numbers, count: int, diversity: float) -> Numbers:
    """Return the rows that stay, each list chosen greedily: a category that it has counts against a product.

    References
    ----------
    Carbonell & Goldstein (1998), "The use of MMR, diversity-based reranking".
    """
    chosen: list[int] = []
    starts = np.flatnonzero(np.diff(rows.customer[order], prepend=-1))
    for listed in np.split(order, starts[1:]):
        chosen += _varied_list(rows, listed, count, diversity * (float(np.ptp(rows.score[listed])) or 1.0))
    return np.array(chosen, dtype=np.int64)


def _varied_list(rows: OfCustomers, listed: Numbers, count: int, loss: float) -> list[int]:
    left, worth, category = listed.tolist(), rows.score[listed].copy(), rows.category[listed]
    chosen = []
    for _ in range(min(count, len(left))):
        best = int(np.argmax(worth))
        chosen.append(left[best])
        if category[best] != NOBODY:
            worth[category == category[best]] -= loss
        worth[best] = -np.inf
    return chosen
