"""The lines of an order as its event tells them.

They are its products (price times quantity, less discounts), or one line of its revenue or total where it names no
products with prices. A refund without amounts takes back what was bought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from facts.ecommerce import AMOUNTS_OF_ORDER, LARGEST_AMOUNT

_PLACES = Decimal("0.0001")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of an order, its amounts in the shop's currency; those of a return are not positive."""

    product_id: str | None = None
    unit_count: int | None = None
    gross_amount: Decimal
    discount_amount: Decimal = _ZERO
    coupon_amount: Decimal = _ZERO

    def __neg__(self) -> Line:
        return Line(
            product_id=self.product_id,
            unit_count=None if self.unit_count is None else -self.unit_count,
            gross_amount=-self.gross_amount,
            discount_amount=-self.discount_amount,
            coupon_amount=-self.coupon_amount,
        )

    @property
    def net_amount(self) -> Decimal:
        """What the shop received for it, or gave back."""
        return self.gross_amount - self.discount_amount

    def moves_something(self) -> bool:
        """Return whether goods or money move."""
        return bool(self.unit_count or self.gross_amount or self.coupon_amount)


def lines_of(properties: Mapping[str, Any]) -> tuple[Line, ...] | None:
    """Return the lines of an order as its event's properties tell them; None where they tell no amount."""
    lines = _product_lines(properties)
    if lines is not None:
        return lines
    amount = _amount_of(properties)
    if amount is None:
        return None
    discount = _amount(properties.get("discount")) or _ZERO
    coupon = discount if properties.get("coupon") else _ZERO
    line = Line(gross_amount=amount + discount, discount_amount=discount, coupon_amount=coupon)
    return (line,) if line.moves_something() else ()


def refunded_lines(properties: Mapping[str, Any], bought: Sequence[Line] | None) -> tuple[Line, ...] | None:
    """Return what a refund takes back, as positive lines; None where that needs what was bought and it is not known."""
    products = _products(properties)
    amount = _amount_of(properties)
    if products and amount is not None and _product_lines(properties) is None:
        units = [_units(product) for product in products]
        shares = _spread(amount, [Decimal(count) for count in units])
        ids = [_id(product) for product in products]
        return tuple(
            Line(product_id=i, unit_count=n, gross_amount=s) for i, n, s in zip(ids, units, shares, strict=True)
        )
    told = lines_of(properties)
    if told is not None or bought is None:
        return told
    return _portion(bought, products) if products else tuple(bought)


def _portion(lines: Iterable[Line], products: Iterable[Mapping[str, Any]]) -> tuple[Line, ...] | None:
    """Return as much of an order's lines as some products of it come to; None where it has none of them."""
    asked: dict[str | None, int] = {}
    for product in products:
        asked[_id(product)] = asked.get(_id(product), 0) + _units(product)
    found: list[Line] = []
    for line in lines:
        bought = line.unit_count or 0
        taken = min(asked.get(line.product_id, 0), bought)
        if taken > 0:
            asked[line.product_id] -= taken
            found.append(_part(line, taken))
    return tuple(found) or None


def _part(line: Line, units: int) -> Line:
    gross, discount, coupon = (
        _rounded(amount * units / (line.unit_count or units))
        for amount in (line.gross_amount, line.discount_amount, line.coupon_amount)
    )
    return replace(line, unit_count=units, gross_amount=gross, discount_amount=discount, coupon_amount=coupon)


def _product_lines(properties: Mapping[str, Any]) -> tuple[Line, ...] | None:
    """Return a line per product; None where there is none, or one has no price.

    A product's own discount is its line's. What the order's discount comes to beyond these is spread over the lines.
    """
    products = _products(properties)
    prices = [_amount(product.get("price")) for product in products]
    units = [_units(product) for product in products]
    gross = [_rounded(price * count) for price, count in zip(prices, units, strict=True) if price is not None]
    if not products or len(gross) < len(products) or max(gross) >= LARGEST_AMOUNT:
        return None
    own = [min(_amount(p.get("discount")) or _ZERO, most) for p, most in zip(products, gross, strict=True)]
    left = [most - part for most, part in zip(gross, own, strict=True)]
    beyond = (_amount(properties.get("discount")) or _ZERO) - sum(own)
    shared = _spread(min(max(beyond, _ZERO), sum(left, _ZERO)), left)
    has_coupon = bool(properties.get("coupon"))
    return tuple(
        Line(
            product_id=_id(product),
            unit_count=count,
            gross_amount=amount,
            discount_amount=mine + share,
            coupon_amount=(mine if product.get("coupon") else _ZERO) + (share if has_coupon else _ZERO),
        )
        for product, count, amount, mine, share in zip(products, units, gross, own, shared, strict=True)
    )


def _spread(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Divide an amount by weights into parts of four decimals that add up to it."""
    total, before, passed, parts = sum(weights, _ZERO), _ZERO, _ZERO, list[Decimal]()
    for weight in weights:
        passed += weight
        until = _rounded(amount * passed / total) if total else _ZERO
        parts.append(until - before)
        before = until
    return parts


def _products(properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    told = properties.get("products")
    return [product for product in told if isinstance(product, Mapping)] if isinstance(told, list) else []


def _amount_of(properties: Mapping[str, Any]) -> Decimal | None:
    told = (_amount(properties.get(name)) for name in AMOUNTS_OF_ORDER)
    return next((amount for amount in told if amount is not None), None)


def _id(product: Mapping[str, Any]) -> str | None:
    told = product.get("product_id")
    return None if told is None else str(told)


def _units(product: Mapping[str, Any]) -> int:
    told = product.get("quantity")
    return int(told) if isinstance(told, int | float) and 1 <= told < LARGEST_AMOUNT else 1


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_AMOUNT:
        return None
    return abs(_rounded(Decimal(str(value))))


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_PLACES, rounding=ROUND_HALF_EVEN)
