"""What a lake is to hold after some deliveries, said a second time, in plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.builders import Event, Product
from tests.facts.deliveries import Told

MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class Version:
    said: Told
    received_at: datetime
    superseded_at: datetime | None = None


@dataclass(slots=True)
class Memory:
    """Orders with every version, products, and events; `touched` is of the last delivery."""

    until: datetime | None = None
    orders: dict[str, list[Version]] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    events: dict[str, tuple[Event, datetime]] = field(default_factory=dict)
    touched: dict[str, datetime] = field(default_factory=dict)

    def take(
        self,
        orders: Iterable[Told],
        events: Mapping[str, Event],
        products: Sequence[Product],
        *,
        at: datetime,
        until: datetime,
        is_whole: bool,
    ) -> None:
        """Learn of a delivery; `is_whole` where orders that are not in it are no more."""
        orders, is_first = list(orders), self.until is None
        self.touched = {}
        self._learn_products(products)
        for order in orders:
            self._learn_order(order, at)
        for message_id, event in events.items():
            if message_id not in self.events:
                received_at = event.received_at or self._when(event.at, at)
                self.events[message_id] = (event, received_at)
                self._touch(event.customer, received_at)
        if is_whole:
            self._forget({order.id for order in orders}, at)
        self.until = max(until, self.until or until)
        if is_first:
            self.touched = {}

    def versions(self) -> set[tuple[object, ...]]:
        return {
            (name, number, version.received_at, version.superseded_at)
            for name, versions in self.orders.items()
            for number, version in enumerate(versions)
        }

    def current(self) -> dict[str, Told]:
        return {
            name: versions[-1].said.content
            for name, versions in self.orders.items()
            if versions[-1].superseded_at is None
        }

    def _when(self, happened_at: datetime, at: datetime) -> datetime:
        return max(at, happened_at) if self.until is not None and happened_at < self.until else happened_at

    def _learn_order(self, order: Told, at: datetime) -> None:
        versions = self.orders.setdefault(order.id, [])
        if not versions:
            versions.append(Version(order, order.received_at or self._when(order.at, at)))
            self._touch(order.customer, versions[0].received_at)
            return
        last = versions[-1]
        if last.superseded_at is None and last.said.content == order.content:
            return
        known_at = max(time for v in versions for time in (v.received_at, v.superseded_at) if time is not None)
        said_later = order.received_at is not None and order.received_at > known_at
        received_at = order.received_at if said_later else max(at, order.at, known_at + MICROSECOND)
        if last.superseded_at is None:
            last.superseded_at = received_at
            self._touch(last.said.customer, received_at)
        versions.append(Version(order, received_at))
        self._touch(order.customer, received_at)

    def _forget(self, told: set[str], at: datetime) -> None:
        for name, versions in self.orders.items():
            last = versions[-1]
            if name not in told and last.superseded_at is None:
                last.superseded_at = max(at, last.received_at)
                self._touch(last.said.customer, last.superseded_at)

    def _learn_products(self, products: Sequence[Product]) -> None:
        changed = {product.id for product in products if self.products.get(product.id) != product}
        self.products |= {product.id: product for product in products}
        for versions in self.orders.values():
            for version in versions:
                if version.said.nets and version.said.product in changed:
                    self._touch(version.said.customer, version.received_at)

    def _touch(self, customer: str, known_from: datetime) -> None:
        self.touched[customer] = min(known_from, self.touched.get(customer, known_from))
