"""A market whose customers have tastes: each buys from one of four lists, again and again, at a pace of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace

from facts.home import Home
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import EPOCH, Event, Line, Order, Product, at, delivery, rows_of

DAYS = 200
CUSTOMERS = 150
TASTES = ("dairy", "bakery", "care", "garden")
EACH = 10  # products of a taste
ODD = "Käse 3/ω"  # an id with a space, a slash and letters that are not Latin
GONE = "gone"  # bought by everyone, told by no feed
ONCE = "once"  # a customer with one order


def product_id(taste: str, number: int) -> str:
    """Return the id of a product; one of them is odd."""
    return ODD if (taste, number) == ("dairy", 3) else f"{taste}-{number}"


def products() -> list[Product]:
    """Return what the feed tells."""
    return [
        Product(
            id=product_id(taste, number),
            category=taste,
            department="food" if taste in TASTES[:2] else "home",
            brand=f"brand {number % 3}",
        )
        for taste in TASTES
        for number in range(EACH)
    ]


def orders(seed: int = 5) -> list[Order]:
    """Return the orders: of a customer's four favourites often, of others now and then."""
    chance = random.Random(seed)  # noqa: S311 - test data
    told = []
    for number in range(CUSTOMERS):
        taste, pace = TASTES[number % len(TASTES)], 4 + number % 9
        favourites = chance.sample(range(EACH), 4)
        day = chance.uniform(0, pace)
        while day < DAYS - 1:
            basket = {product_id(taste, n) for n in favourites if chance.random() < 0.7}
            basket |= {product_id(taste, chance.randrange(EACH))}
            basket |= {product_id(chance.choice(TASTES), chance.randrange(EACH))} if chance.random() < 0.3 else set()
            basket |= {GONE} if chance.random() < 0.5 else set()
            lines = tuple(Line(product=name) for name in sorted(basket))
            told.append(Order(customer=f"c{number}", at=at(int(day), 8 + chance.random() * 10), lines=lines))
            day += pace * chance.uniform(0.7, 1.3)
    once = Order(customer=ONCE, at=at(150, 9), lines=(Line(product=product_id("care", 1)),))
    return [*told, once]


def views() -> list[Event]:
    """Return what some customers looked at in the last days."""
    looked_at = json.dumps({"product_id": "garden-9"})
    return [
        Event(customer=f"c{number}", event="Product Viewed", at=at(DAYS - 2, number % 20), properties=looked_at)
        for number in range(0, CUSTOMERS, 10)
    ]


def bring_in(home: Home, *, told: Sequence[Product] | None = None) -> Lake:
    """Bring the market into a home's lake; with what its shop tells of products, by default all."""
    made = delivery(rows_of(orders(), views(), products() if told is None else list(told)))
    shop = replace(made.shop, observed_from=EPOCH, observed_until=at(DAYS), clock="standing")
    lake = Lake(home.lake)
    ingest(replace(made, shop=shop), lake)
    return lake
