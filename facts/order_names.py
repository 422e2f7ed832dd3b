"""The ids of orders, as the events that tell of them name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facts.ecommerce import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED

ORDER_EVENTS = (ORDER_COMPLETED, ORDER_REFUNDED, ORDER_CANCELLED)
RETURN = "/return"


def named_order(event: str, properties: Mapping[str, Any]) -> str | None:
    """Return the id of the order that an event is about, None where it is about none."""
    told = properties.get("order_id") if event in ORDER_EVENTS else None
    return None if told is None else str(told)


def made_order(event: str, properties: Mapping[str, Any]) -> str | None:
    """Return the id that the lake gives to what an event makes, a sale or a return; None where it makes nothing."""
    order_id = named_order(event, properties)
    if order_id is None or event == ORDER_CANCELLED:
        return None
    return order_id if event == ORDER_COMPLETED else return_id(order_id, properties.get("refund_id"))


def return_id(order_id: str, refund_id: object) -> str:
    """Return the id of the return that a refund of an order is."""
    return f"{order_id}{RETURN}" + (f"/{refund_id}" if refund_id else "")
