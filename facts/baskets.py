"""Who bought what together, and when: a shop's baskets as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from numpy.typing import NDArray

from facts.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class Baskets:
    """Baskets in the order of customers, then of time; a row is a product of a basket, once however many were bought.

    Parameters
    ----------
    customer_ids, product_ids
        (customers,) and (products,) what the numbers of the other arrays stand for.
    customer, at
        (baskets,) whose a basket is, and when, in days; where nobody told the time, its place among its customer's.
    now
        (customers,) the instant at which a customer is looked at, as `at`: later than all baskets.
    basket, product
        (rows,) the basket of a row, ascending, and the product.
    """

    customer_ids: NDArray[np.object_]
    product_ids: NDArray[np.object_]
    customer: NDArray[np.int32]
    at: NDArray[np.float64]
    now: NDArray[np.float64]
    basket: NDArray[np.int32]
    product: NDArray[np.int32]

    @property
    def basket_counts(self) -> NDArray[np.int64]:
        """Return (customers,) how many baskets each has."""
        return np.bincount(self.customer, minlength=len(self.customer_ids))

    @property
    def places_from_last(self) -> NDArray[np.int64]:
        """Return (baskets,) how many later baskets the same customer has."""
        ends = np.cumsum(self.basket_counts)
        return ends[self.customer] - 1 - np.arange(len(self.customer))

    def split(self, is_later: NDArray[np.bool_]) -> tuple[Baskets, Baskets]:
        """Split into earlier and later baskets; customers and products keep their numbers.

        `is_later` is (baskets,), of a customer at most the last one; the earlier ones are looked at from its instant.
        """
        now = self.now.copy()
        now[self.customer[is_later]] = self.at[is_later]
        return self._only(~is_later, now=now), self._only(is_later, now=self.now)

    def among(self, customers: NDArray[np.int64]) -> Baskets:
        """Return the baskets of some customers, whose numbers ascend; products keep their numbers."""
        held = np.isin(self.customer, customers)
        found = self._only(held, now=self.now)
        number = np.searchsorted(customers, found.customer).astype(np.int32)
        return replace(found, customer_ids=self.customer_ids[customers], now=self.now[customers], customer=number)

    def _only(self, kept: NDArray[np.bool_], *, now: NDArray[np.float64]) -> Baskets:
        number, rows = np.cumsum(kept, dtype=np.int32) - 1, kept[self.basket]
        return Baskets(
            customer_ids=self.customer_ids,
            product_ids=self.product_ids,
            customer=self.customer[kept],
            at=self.at[kept],
            now=now,
            basket=number[self.basket[rows]].astype(np.int32),
            product=self.product[rows],
        )


def unnamed(count: int) -> NDArray[np.object_]:
    """Return so many names that nobody asks for, without room for them."""
    return np.broadcast_to(np.array(None, dtype=object), (count,))


def baskets_of(
    frame: pd.DataFrame, *, now: float | Mapping[str, float], product_ids: Sequence[str] | None = None
) -> Baskets:
    """Make baskets of a table with a row per product of a basket: customer_id, basket, at (days), product_id.

    Parameters
    ----------
    now
        The instant at which customers are looked at: one for all, or each one's own.
    product_ids
        The products that are to have numbers, those of the table among them; otherwise only those of the table.
    """
    customer, customer_ids = pd.factorize(frame["customer_id"], sort=True)
    basket = pd.factorize(frame["basket"], sort=True)[0]
    product, named = pd.factorize(frame["product_id"], sort=True)
    known = pd.Index(named if product_ids is None else product_ids, dtype=object)
    product = known.get_indexer(pd.Index(named, dtype=object))[product]
    at = frame["at"].to_numpy(np.float64)
    order = np.lexsort((product, basket, at, customer))
    customer, basket, product, at = customer[order], basket[order], product[order], at[order]
    is_first = (np.diff(customer, prepend=-1) != 0) | (np.diff(basket, prepend=-1) != 0)
    is_row = is_first | (np.diff(product, prepend=-1) != 0)
    names = np.asarray(customer_ids, dtype=object)
    return Baskets(
        customer_ids=names,
        product_ids=known.to_numpy(),
        customer=customer[is_first].astype(np.int32),
        at=at[is_first],
        now=np.array([now[name] for name in names]) if isinstance(now, Mapping) else np.full(len(names), float(now)),
        basket=(np.cumsum(is_first)[is_row] - 1).astype(np.int32),
        product=product[is_row].astype(np.int32),
    )


def read_baskets(lake: Lake, cutoff: datetime, *, product_ids: Sequence[str] | None = None) -> Baskets:
    """Read the baskets of a lake that were known at an instant: see `known_baskets`."""
    with lake.connect() as connection:
        orders, lines = (lake.table(connection, name) for name in ("orders", "order_lines"))
        return known_baskets(orders, lines, cutoff, product_ids=product_ids)


def known_baskets(
    orders: ibis.Table, lines: ibis.Table, cutoff: datetime, *, product_ids: Sequence[str] | None = None
) -> Baskets:
    """Return the orders that were known at an instant as baskets; `at` is in days since 1970.

    Returns and cancelled orders are left out, and so are lines without a product, or with less than one piece of it.
    `product_ids` is as for `baskets_of`.
    """
    instant = ibis.literal(pd.Timestamp(cutoff), orders.ordered_at.type())
    is_current = orders.superseded_at.isnull() | (orders.superseded_at >= instant)
    known = orders.filter((orders.received_at < instant) & (orders.ordered_at < instant) & is_current, _.kind == "sale")
    of_products = lines.filter(_.product_id.notnull(), _.unit_count.isnull() | (_.unit_count > 0))
    bought = of_products.inner_join(known, ["order_id", "version"])
    rows = bought.select("customer_id", "ordered_at", "product_id", basket=_.order_id).to_pyarrow()
    frame = rows.to_pandas(types_mapper=pd.ArrowDtype)  # a Python text for each cell would be ten times as much
    at = days_since_1970(frame.pop("ordered_at"))
    return baskets_of(frame.assign(at=at), now=days_since_1970(pd.Timestamp(cutoff)), product_ids=product_ids)


def days_since_1970(instant: Any) -> Any:  # noqa: ANN401 - an instant or a column of them
    """Return instants in days, as `Baskets` has them."""
    return (instant - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
