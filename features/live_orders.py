"""Orders and carts as events tell them, before a snapshot holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import fsum
from typing import Final

from facts.ecommerce import (
    LARGEST_AMOUNT,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
)
from facts.event_lines import Line, lines_of, refunded_lines
from features.live_events import IN_ARRIVAL, AnyEvent

ADDED: Final = "Product Added"
REMOVED: Final = "Product Removed"
CART_EVENTS: Final = frozenset({ADDED, REMOVED})
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class LiveOrders:
    """The orders that no snapshot holds yet: when each happened, in order, and what they came to less refunds.

    `return_times` are those of the refunds, in order.
    """

    times: tuple[datetime, ...]
    return_times: tuple[datetime, ...]
    net_amount: float


NO_ORDERS = LiveOrders((), (), 0.0)


def live_orders(by_name: Mapping[str, Sequence[AnyEvent]], *, cutoff: datetime | None) -> LiveOrders:
    """Return the orders that the customer's snapshot does not hold: nobody told of them before its cutoff.

    Neither an event nor a file: `order_held_from` says since when the lake has an order, whoever told. Events of one
    `order_id` are one order, as the one received last tells it. A cancelled order is none, and neither
    are its refunds. Amounts are those that the lake's order lines will have; a refund that gives none is one of what
    was bought, as far as the order's event is known.
    """
    if ORDER_COMPLETED not in by_name and ORDER_REFUNDED not in by_name:
        return NO_ORDERS
    cancelled = _cancelled(by_name)
    sales = _by_id(by_name.get(ORDER_COMPLETED, ()))
    last_told = {order_id: told[-1] for (order_id, _), told in sales.items()}
    placed = placed_orders(by_name, cutoff=cutoff)
    returns = [
        made
        for (order_id, _), told in _by_id(by_name.get(ORDER_REFUNDED, ()), and_by="refund_id").items()
        if order_id not in cancelled and (made := _return_of(told, last_told.get(order_id), cutoff)) is not None
    ]
    taken = sum((_net_amount(lines_of(event.properties)) for event in placed), _ZERO)
    given_back = sum((amount for _, amount in returns), _ZERO)
    return LiveOrders(
        times=tuple(sorted(event.occurred_at for event in placed)),
        return_times=tuple(sorted(time for time, _ in returns)),
        net_amount=float(taken - given_back),
    )


def placed_orders(by_name: Mapping[str, Sequence[AnyEvent]], *, cutoff: datetime | None) -> list[AnyEvent]:
    """Return of each order that the customer's snapshot does not hold, and that stands, the event that told it last."""
    if ORDER_COMPLETED not in by_name:
        return []
    cancelled, sales = _cancelled(by_name), _by_id(by_name[ORDER_COMPLETED])
    return [told[-1] for (i, _), told in sales.items() if i not in cancelled and _is_new(told[0], cutoff)]


def open_cart_amount(events: Iterable[AnyEvent]) -> float:
    """Return the price of what events of CART_EVENTS, in time order, put into the cart and left there.

    A removal takes away at most what they put in. A price that is not given is the product's price before.
    """
    return fsum(held * price for held, price in open_cart(events).values())


def open_cart(events: Iterable[AnyEvent]) -> dict[str | int, tuple[float, float]]:
    """Return how many of each product events of CART_EVENTS, in time order, left in the cart, and its last price.

    Products that were taken out again stay, with nothing held.
    """
    cart: dict[str | int, tuple[float, float]] = {}
    for event in events:
        product = product_of(event.properties)
        held, price_before = cart.get(product, (0.0, 0.0))
        price, quantity = _number(event.properties.get("price")), _quantity(event.properties)
        held = max(0.0, held + quantity if event.event == ADDED else held - quantity)
        cart[product] = (held, price_before if price is None else price)
    return cart


def product_of(properties: Mapping[str, object]) -> str | int:
    """Return what names the product of an event."""
    given = (properties.get(name) for name in ("product_id", "sku", "name"))
    return next((name for name in given if isinstance(name, str | int)), "")


def _cancelled(by_name: Mapping[str, Sequence[AnyEvent]]) -> set[str]:
    return {_order_id(event) for event in by_name.get(ORDER_CANCELLED, ())}


def _order_id(event: AnyEvent) -> str:
    order_id = event.properties.get("order_id")
    return event.message_id if order_id is None else str(order_id)


def _by_id(events: Iterable[AnyEvent], *, and_by: str = "") -> dict[tuple[str, str], list[AnyEvent]]:
    """Return the events of each order, and of each of its `and_by`, in the order of arrival."""
    groups: dict[tuple[str, str], list[AnyEvent]] = {}
    for event in sorted(events, key=IN_ARRIVAL):
        key = (_order_id(event), str((and_by and event.properties.get(and_by)) or ""))
        groups.setdefault(key, []).append(event)
    return groups


def _is_new(event: AnyEvent, cutoff: datetime | None) -> bool:
    held_from = event.order_held_from
    return cutoff is None or (event.received_at >= cutoff and (held_from is None or held_from >= cutoff))


def _return_of(
    told: Sequence[AnyEvent], order: AnyEvent | None, cutoff: datetime | None
) -> tuple[datetime, Decimal] | None:
    """Return when a refund happened and its amount, as told last; None where it is none, or in the snapshot."""
    if not _is_new(told[-1], cutoff):
        return None
    sound = [(event, lines) for event in told if (lines := _lines_back(event, order)) is not None]
    if not sound or not _is_new(sound[0][0], cutoff):
        return None
    event, lines = sound[-1]
    return event.occurred_at, _net_amount(lines)


def _lines_back(refund: AnyEvent, order: AnyEvent | None) -> Sequence[Line] | None:
    """Return what a refund takes back, as far as it is known; None where it takes nothing of its order."""
    lines = refunded_lines(refund.properties, None)
    if lines is None and order is None:
        return ()
    return (
        lines
        if order is None or lines is not None
        else refunded_lines(refund.properties, lines_of(order.properties) or ())
    )


def _net_amount(lines: Iterable[Line] | None) -> Decimal:
    return sum((line.net_amount for line in lines or ()), _ZERO)


def _quantity(properties: Mapping[str, object]) -> float:
    quantity = _number(properties.get("quantity"))
    return 1.0 if quantity is None else quantity


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST_AMOUNT < value < LARGEST_AMOUNT else None
