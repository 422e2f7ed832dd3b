"""Small shops with something wrong: too little, too even, one customer too large, three months missing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from facts.home import Home
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import EPOCH, Line, Order, at, delivery, rows_of

CYCLES_DAYS = (3, 7, 14, 28)
SILENCE = range(150, 241)


def bring_in(home: Home, orders: Sequence[Order], *, days: int) -> None:
    """Ingest orders as a shop whose record is so many days long."""
    made = delivery(rows_of(orders))
    shop = replace(made.shop, observed_from=EPOCH, observed_until=at(days), clock="standing")
    ingest(replace(made, shop=shop), Lake(home.lake))


def visits(days: int, *, customers: int = 120, leaving: float = 0.3, seed: int = 7) -> list[Order]:
    """Customers who come at a pace of their own, more or less; some of them leave for good on some day."""
    chance = random.Random(seed)  # noqa: S311 - test data
    orders = []
    for number in range(customers):
        cycle = CYCLES_DAYS[number % len(CYCLES_DAYS)]
        until = chance.uniform(0.2, 1.0) * days if chance.random() < leaving else days
        day = chance.uniform(0, cycle)
        while day < until:
            net = f"{chance.uniform(5, 40):.2f}"
            orders.append(Order(customer=f"c{number}", at=at(int(day), 9 + chance.random()), lines=(Line(net=net),)))
            day += max(1.0, cycle * chance.uniform(0.6, 1.4))
    return orders


def once_each() -> list[Order]:
    """Nobody came twice."""
    chance = random.Random(3)  # noqa: S311 - test data
    return [Order(customer=f"c{number}", at=at(chance.randrange(200), 10)) for number in range(80)]


def no_churner() -> list[Order]:
    """Everybody comes every other day, some every day."""
    return [
        Order(customer=f"c{number}", at=at(day, 10 + number % 5), lines=(Line(net=f"{1 + (number * day) % 9}"),))
        for number in range(60)
        for day in range(number % 2, 200, 1 + number % 2)
    ]


def wholesaler() -> list[Order]:
    """One customer with two fifths of all that is spent."""
    orders = visits(200)
    weekly = sum(float(order.lines[0].net) for order in orders) * (2 / 3) / len(range(2, 200, 7))
    return [
        *orders,
        *(Order(customer="wholesaler", at=at(day, 8), lines=(Line(net=f"{weekly:.2f}"),)) for day in range(2, 200, 7)),
    ]


def three_months_missing() -> list[Order]:
    """Nothing of what happened in three months was delivered."""
    return [order for order in visits(400, leaving=0.2) if (order.at - EPOCH).days not in SILENCE]


SHOPS: Mapping[str, tuple[Callable[[], list[Order]], int]] = {
    "eighty customers": (lambda: visits(200, customers=80), 200),
    "one order each": (once_each, 200),
    "two weeks": (lambda: visits(14), 14),
    "no churner": (no_churner, 200),
    "wholesaler": (wholesaler, 200),
    "three months missing": (three_months_missing, 400),
}
