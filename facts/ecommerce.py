"""The events of Segment's e-commerce specification that are checked by name: their fields, and what each must be.

Names that are not here are kept as they come. Amounts are in the shop's currency and never negative: a refund says how
much was refunded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

IDENTIFY, PAGE, SCREEN = "Identify", "Page", "Screen"
ORDER_COMPLETED, ORDER_REFUNDED, ORDER_CANCELLED = "Order Completed", "Order Refunded", "Order Cancelled"
AMOUNTS_OF_ORDER = ("revenue", "total")  # the first that is given is what the shop received

LONGEST_ID = 128
LARGEST_AMOUNT = 1e12
_LONGEST_QUOTE = 60

# What is wrong with a value, as the end of a sentence; None where it is right.
Check: TypeAlias = Callable[[Any], str | None]


class Unfit(Exception):  # noqa: N818 - never seen outside: it becomes a rejection
    """A field that is not what it must be."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a named event needs: fields that must be there, and fields of which one must be."""

    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    of_product: tuple[str, ...] = ()


def _id(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return _is_not(value, "a text")
    if value == "":
        return "it is empty"
    return f"it has more than {LONGEST_ID} characters" if len(str(value)) > LONGEST_ID else None


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else _is_not(value, "a text")


def _amount(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _is_not(value, "a number")
    if isinstance(value, float) and not math.isfinite(value):
        return f"it is {value}, not a finite number"
    if value < 0:
        return f"it is {quoted(value)}; send amounts as positive numbers"
    return None if value < LARGEST_AMOUNT else f"it is larger than an amount can be ({LARGEST_AMOUNT:.0e})"


def _count(value: object) -> str | None:
    if (problem := _amount(value)) is not None:
        return problem
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return None if is_whole and value else f"it is {quoted(value)}, not a whole number from 1 on"


FIELDS: Mapping[str, Check] = {
    **dict.fromkeys(("product_id", "order_id", "checkout_id", "cart_id", "list_id", "refund_id", "campaign_id"), _id),
    **dict.fromkeys(("name", "category", "brand", "coupon", "query", "affiliation"), _text),
    **dict.fromkeys(("price", "subtotal", "revenue", "total", "tax", "shipping", "discount"), _amount),
    "quantity": _count,
}
IDS = tuple(name for name, check in FIELDS.items() if check is _id)

EVENTS: Mapping[str, Named] = {
    "Product Viewed": Named(required=("product_id",)),
    "Product Clicked": Named(required=("product_id",)),
    "Product Added": Named(required=("product_id",)),
    "Product Removed": Named(required=("product_id",)),
    "Product List Viewed": Named(),
    "Products Searched": Named(required=("query",)),
    "Cart Viewed": Named(),
    "Checkout Started": Named(),
    "Order Viewed": Named(),
    "Delivery Options Viewed": Named(),
    "Coupon Applied": Named(),
    "Campaign Received": Named(),
    ORDER_COMPLETED: Named(
        required=("order_id",), one_of=("products", *AMOUNTS_OF_ORDER), of_product=("product_id", "price")
    ),
    ORDER_REFUNDED: Named(required=("order_id",), of_product=("product_id",)),
    ORDER_CANCELLED: Named(required=("order_id",)),
}


def checked(event: str, properties: dict[str, Any], *, currency: str) -> dict[str, Any]:
    """Check a named event's properties, and return them with their ids as texts.

    Parameters
    ----------
    event
        Its name; the properties of a name that is not in `EVENTS` are returned as they are.
    currency
        The shop's: amounts in another one are refused.

    Raises
    ------
    Unfit
        A field is missing or not what it must be.
    """
    named = EVENTS.get(event)
    if named is None:
        return properties
    _check_fields("properties", properties, required=named.required)
    if named.one_of and not any(properties.get(name) not in (None, []) for name in named.one_of):
        raise Unfit("properties", f"one of {', '.join(named.one_of)} is required in {event}")
    told = properties.get("currency")
    if told is not None and told != currency:
        raise Unfit("properties.currency", f"it is {quoted(told)}, the shop's is {currency!r}; send amounts in that")
    products = properties.get("products")
    if products is None:
        return _with_text_ids(properties)
    return _with_text_ids(properties) | {"products": list(_products(products, required=named.of_product))}


def quoted(value: object) -> str:
    """Return a value as it stands in a sentence, cut where it is long."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def _products(products: object, *, required: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if not isinstance(products, list):
        raise Unfit("properties.products", _is_not(products, "a list of products"))
    for index, product in enumerate(products):
        place = f"properties.products.{index}"
        if not isinstance(product, dict):
            raise Unfit(place, _is_not(product, "an object"))
        _check_fields(place, product, required=required)
        if (product.get("price") or 0) * (product.get("quantity") or 1) >= LARGEST_AMOUNT:
            raise Unfit(place, f"its price times quantity is larger than an amount can be ({LARGEST_AMOUNT:.0e})")
        yield _with_text_ids(product)


def _check_fields(place: str, told: Mapping[str, Any], *, required: tuple[str, ...]) -> None:
    for name in required:
        if told.get(name) is None:
            raise Unfit(f"{place}.{name}", "it is required")
    for name, value in told.items():
        check = FIELDS.get(name)
        if check is not None and value is not None and (problem := check(value)) is not None:
            raise Unfit(f"{place}.{name}", problem)


def _with_text_ids(told: dict[str, Any]) -> dict[str, Any]:
    return told | {name: str(told[name]) for name in IDS if isinstance(told.get(name), int)}


def _is_not(value: object, kind: str) -> str:
    return f"it is {quoted(value)}, not {kind}"
