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
    product_version: int | None = None  # of all its lines


@dataclass(slots=True)
class Described:
    said: Product
    received_at: datetime


@dataclass(slots=True)
class Memory:
    """Orders and products with every version, and events; `touched` is of the last delivery."""

    until: datetime | None = None
    orders: dict[str, list[Version]] = field(default_factory=dict)
    products: dict[str, list[Described]] = field(default_factory=dict)
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
        learnt = [version for order in orders for version in self._learn_order(order, at)]
        self._learn_products(products, learnt, min(v.received_at for v in learnt) if is_first else at)
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

    def products_told(self) -> set[tuple[object, ...]]:
        return {
            (name, number, version.said.category, version.received_at)
            for name, versions in self.products.items()
            for number, version in enumerate(versions)
        }

    def of_lines(self) -> dict[tuple[str, int], int | None]:
        """Return the version of the product that an order's lines carry, by the order and its version."""
        return {
            (name, number): version.product_version
            for name, versions in self.orders.items()
            for number, version in enumerate(versions)
            if version.said.nets
        }

    def _learn_order(self, order: Told, at: datetime) -> list[Version]:
        """Return the version of it that is new, if one is."""
        versions = self.orders.setdefault(order.id, [])
        if not versions:
            versions.append(Version(order, order.received_at or self._when(order.at, at)))
            self._touch(order.customer, versions[0].received_at)
            return versions[-1:]
        last = versions[-1]
        if last.superseded_at is None and last.said.content == order.content:
            return []
        known_at = max(time for v in versions for time in (v.received_at, v.superseded_at) if time is not None)
        said_later = order.received_at is not None and order.received_at > known_at
        received_at = order.received_at if said_later else max(at, order.at, known_at + MICROSECOND)
        if last.superseded_at is None:
            last.superseded_at = received_at
            self._touch(last.said.customer, received_at)
        versions.append(Version(order, received_at))
        self._touch(order.customer, received_at)
        return versions[-1:]

    def _forget(self, told: set[str], at: datetime) -> None:
        for name, versions in self.orders.items():
            last = versions[-1]
            if name not in told and last.superseded_at is None:
                last.superseded_at = max(at, last.received_at)
                self._touch(last.said.customer, last.superseded_at)

    def _learn_products(self, products: Sequence[Product], learnt: Iterable[Version], at: datetime) -> None:
        sold: dict[str | None, list[Version]] = {}
        for version in learnt:
            sold.setdefault(version.said.product if version.said.nets else None, []).append(version)
        for product in products:
            versions = self.products.setdefault(product.id, [])
            if not versions or versions[-1].said != product:
                known_from = min([at, *(version.received_at for version in sold.get(product.id, []))])
                versions.append(Described(product, max([known_from, *(v.received_at for v in versions[-1:])])))
        for product_id, versions in self.products.items():
            for version in sold.get(product_id, []):
                versions[0].received_at = min(versions[0].received_at, version.received_at)
            for version in sold.get(product_id, []):
                known = [n for n, each in enumerate(versions) if each.received_at <= version.received_at]
                version.product_version = known[-1]

    def _touch(self, customer: str, known_from: datetime) -> None:
        self.touched[customer] = min(known_from, self.touched.get(customer, known_from))
