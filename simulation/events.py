"""The events of a chunk as columns of numbers; their names and fields are Segment's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from simulation.campaigns import NONE
from simulation.clock import Ints


class Kind(IntEnum):
    """What happened."""

    PAGE = 0
    ORDER_VIEWED = 1
    SEARCHED = 2
    LIST_VIEWED = 3
    VIEWED = 4
    ADDED = 5
    REMOVED = 6
    CART_VIEWED = 7
    DELIVERY_VIEWED = 8
    CHECKOUT = 9
    COUPON = 10
    COMPLETED = 11
    CANCELLED = 12
    REFUNDED = 13
    CAMPAIGN = 14
    SUPPORT = 15


NAMES = (
    "Page", "Order Viewed", "Products Searched", "Product List Viewed", "Product Viewed", "Product Added",
    "Product Removed", "Cart Viewed", "Delivery Options Viewed", "Checkout Started", "Coupon Applied",
    "Order Completed", "Order Cancelled", "Order Refunded", "Campaign Received", "Support Contacted",
)  # fmt: skip

BROWSING = (
    Kind.PAGE, Kind.ORDER_VIEWED, Kind.SEARCHED, Kind.LIST_VIEWED, Kind.VIEWED, Kind.ADDED, Kind.REMOVED,
    Kind.CART_VIEWED, Kind.DELIVERY_VIEWED, Kind.CHECKOUT,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """One row an event; what it does not concern is NONE."""

    customer: Ints
    at: Ints  # microseconds
    kind: Ints
    order: Ints
    line: Ints
    product: Ints
    category: Ints
    campaign: Ints

    @classmethod
    def of(cls, *, customer: Ints, at: Ints, kind: int | Ints, **concerns: Ints) -> Events:
        """Return events of one kind, or of a kind each."""
        absent = {f.name: np.full(len(customer), NONE) for f in fields(cls)[3:] if f.name not in concerns}
        kinds = np.broadcast_to(np.asarray(kind, dtype=np.int64), customer.shape)
        return cls(customer=customer, at=at, kind=kinds, **absent, **concerns)

    @classmethod
    def concat(cls, parts: Sequence[Events]) -> Events:
        """Return all events, by customer and time; those of one instant stay as they come."""
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)}
        order = np.lexsort((columns["at"], columns["customer"]))
        return cls(**{name: column[order] for name, column in columns.items()})

    def before(self, until: int) -> Events:
        """Return the events that happen before an instant."""
        return self.of_rows(np.flatnonzero(self.at < until))

    def of_rows(self, row: Ints) -> Events:
        """Return some of the events, in this order."""
        return Events(**{f.name: getattr(self, f.name)[row] for f in fields(self)})

    def __len__(self) -> int:
        return len(self.customer)
