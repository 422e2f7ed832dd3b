"""What is known of customers when recommendations are asked for: their baskets, their cart, and what they looked at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from facts.baskets import Baskets, days_since_1970, unnamed
from facts.ecommerce import ORDER_CANCELLED, ORDER_COMPLETED
from facts.event_lines import lines_of
from features.live_events import IN_TIME, AnyEvent, known_events
from features.live_orders import CART_EVENTS, open_cart, placed_orders, product_of
from features.recommending.candidates import Asked
from features.recommending.catalog import Catalog
from features.recommending.nearest import NOBODY, Nearest
from features.recommending.night import KnownShop

VIEWED = "Product Viewed"
ASKING_EVENTS = frozenset({VIEWED, ORDER_COMPLETED, ORDER_CANCELLED, *CART_EVENTS})
"""The events that are looked at; others need not be read for a question."""
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Since:
    """What events tell of one customer since the night: baskets, the cart and views, products by number."""

    baskets: tuple[tuple[float, Numbers], ...] = ()
    cart: tuple[int, ...] = ()
    views: tuple[tuple[int, float], ...] = ()


def ask(
    night: KnownShop,
    customer_ids: Sequence[str],
    events: Mapping[str, Iterable[AnyEvent]],
    *,
    at: datetime | Sequence[datetime],
    context: Sequence[int] = (),
) -> Asked:
    """Put together what is known of customers, each at an instant.

    Parameters
    ----------
    events
        The last 30 days' events of the customers who have any.
    at
        One instant for all, or each one's own; at or after the night.
    context
        Numbers of products that lie in every cart beside what events tell of.
    """
    instants = [at] * len(customer_ids) if isinstance(at, datetime) else list(at)
    found = (night.histories.customer_ids.find(name) for name in customer_ids)
    numbers = np.array([NOBODY if number is None else number for number in found], dtype=np.int64)
    since = [
        since_night(night, events[name], at=instant) if name in events else Since()
        for name, instant in zip(customer_ids, instants, strict=True)
    ]
    now = np.array([days_since_1970(instant) for instant in instants], dtype=np.float64)
    known = numbers != NOBODY
    held = night.histories.baskets(numbers[known], now=0.0, products=len(night.catalog))
    places = np.flatnonzero(known).astype(np.int32)
    baskets = replace(held, customer_ids=unnamed(len(numbers)), now=now, customer=places[held.customer])
    alike = Nearest(
        number=np.full((len(numbers), night.histories.alike.number.shape[1]), NOBODY, dtype=np.int32),
        likeness=np.zeros((len(numbers), night.histories.alike.number.shape[1]), dtype=np.float32),
    )
    alike.number[known] = night.histories.alike.number[numbers[known]]
    alike.likeness[known] = night.histories.alike.likeness[numbers[known]]
    carts = [(place, product) for place, of in enumerate(since) for product in dict.fromkeys((*of.cart, *context))]
    views = [(place, product, days) for place, of in enumerate(since) for product, days in of.views]
    return Asked(
        baskets=_with_later(baskets, since) if any(of.baskets for of in since) else baskets,
        alike=alike,
        context=_columns(carts),
        viewed=_columns([view[:2] for view in views]),
        viewed_days=np.array([days for _, _, days in views], dtype=np.float64),
    )


def since_night(night: KnownShop, events: Iterable[AnyEvent], *, at: datetime) -> Since:
    """Read what the events that are known at an instant tell of their customer beside the night's baskets.

    An order counts if nobody told of it before the night, the cart is what was put into it since the last order.
    """
    told = known_events(events, at=at)
    by_name: dict[str, list[AnyEvent]] = {}
    for event in told:
        by_name.setdefault(event.event, []).append(event)
    orders = sorted(placed_orders(by_name, cutoff=night.cutoff), key=IN_TIME)
    moved = [event for event in told if event.event in CART_EVENTS]
    if bought := by_name.get(ORDER_COMPLETED):
        moved = moved[bisect_right(moved, IN_TIME(bought[-1]), key=IN_TIME) :]
    cart = [name for name, (held, _) in open_cart(moved).items() if held > 0]
    viewed = by_name.get(VIEWED, [])
    views = zip(
        numbers_of(night.catalog, [product_of(event.properties) for event in viewed]),
        [days_since_1970(at) - days_since_1970(event.occurred_at) for event in viewed],
        strict=True,
    )
    return Since(
        baskets=tuple(
            (days_since_1970(event.occurred_at), np.array(products, dtype=np.int64))
            for event in orders
            if (products := _bought(night.catalog, event))
        ),
        cart=tuple(number for number in numbers_of(night.catalog, cart) if number != NOBODY),
        views=tuple((number, days) for number, days in views if number != NOBODY),
    )


def numbers_of(catalog: Catalog, products: Iterable[str | int]) -> list[int]:
    """Return the numbers of products, `NOBODY` of those that the night does not know."""
    found = (catalog.product_ids.find(str(product)) for product in products)
    return [NOBODY if number is None else number for number in found]


def _bought(catalog: Catalog, order: AnyEvent) -> list[int]:
    lines = lines_of(order.properties) or ()
    products = dict.fromkeys(line.product_id for line in lines if line.product_id is not None)
    return sorted(number for number in numbers_of(catalog, products) if number != NOBODY)


def _with_later(baskets: Baskets, since: Sequence[Since]) -> Baskets:
    """Return baskets with those that events told of, in the order of customers and then of time."""
    later = [(place, *basket) for place, of in enumerate(since) for basket in of.baskets]
    customer = np.concatenate([baskets.customer, np.array([place for place, _, _ in later], dtype=np.int32)])
    at = np.concatenate([baskets.at, [days for _, days, _ in later]])
    sizes = [len(products) for _, _, products in later]
    basket = np.concatenate([baskets.basket, np.repeat(np.arange(len(later)) + len(baskets.customer), sizes)])
    product = np.concatenate([baskets.product, *(products for _, _, products in later)])
    order = np.lexsort((at, customer))
    number = np.empty(len(order), dtype=np.int32)
    number[order] = np.arange(len(order))
    rows = np.argsort(number[basket], kind="stable")
    return replace(
        baskets,
        customer=customer[order],
        at=at[order],
        basket=number[basket][rows],
        product=product[rows].astype(np.int32),
    )


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Numbers, Numbers]:
    table = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
    return table[:, 0], table[:, 1]
