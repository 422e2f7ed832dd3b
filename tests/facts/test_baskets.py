"""Baskets are what had been sold and was known at an instant, a product once in each."""

from __future__ import annotations

import numpy as np
import pytest

from facts.baskets import Baskets, known_baskets
from tests.builders import Line, Order, at, known_tables, rows_of

MILK, BREAD, SOAP = (Line(product=name) for name in ("milk", "bread", "soap"))
ORDERS = (
    Order(customer="ben", at=at(2), lines=(MILK, BREAD, MILK)),
    Order(customer="ann", at=at(3), lines=(BREAD, Line(product=None), Line(product="soap", units=None))),
    Order(customer="ann", at=at(1), received_at=at(9), lines=(SOAP,)),  # received after it was asked for
    Order(customer="ann", at=at(2), lines=(MILK,)).then(
        Order(customer="ann", at=at(2), received_at=at(6), lines=(SOAP,))
    ),
    Order(customer="ann", at=at(4), kind="return", lines=(BREAD.sent_back,)),
    Order(customer="ben", at=at(4), kind="cancelled", lines=(SOAP,)),
    Order(customer="cyd", at=at(4), lines=(Line(product="milk", units=0),)),
    Order(customer="ben", at=at(5), lines=(BREAD,)),
)


def known(day: float) -> Baskets:
    tables = known_tables(rows_of(ORDERS))
    return known_baskets(tables["orders"], tables["order_lines"], at(day))


def held(baskets: Baskets) -> list[tuple[str, float, set[str]]]:
    start = (at(0) - at(0).fromtimestamp(0, at(0).tzinfo)).days
    return [
        (baskets.customer_ids[customer], when - start, set(baskets.product_ids[baskets.product[baskets.basket == n]]))
        for n, (customer, when) in enumerate(zip(baskets.customer, baskets.at, strict=True))
    ]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (1.5, []),
        (4.5, [("ann", 2, {"milk"}), ("ann", 3, {"bread", "soap"}), ("ben", 2, {"bread", "milk"})]),
        (5, [("ann", 2, {"milk"}), ("ann", 3, {"bread", "soap"}), ("ben", 2, {"bread", "milk"})]),  # at its instant
        (
            7,
            [("ann", 2, {"soap"}), ("ann", 3, {"bread", "soap"}), ("ben", 2, {"bread", "milk"}), ("ben", 5, {"bread"})],
        ),
        (
            10,
            [
                ("ann", 1, {"soap"}),
                ("ann", 2, {"soap"}),
                ("ann", 3, {"bread", "soap"}),
                ("ben", 2, {"bread", "milk"}),
                ("ben", 5, {"bread"}),
            ],
        ),
    ],
)
def test_baskets_are_what_was_known(day, expected):
    assert held(known(day)) == expected


def test_a_product_is_in_a_basket_once_and_rows_follow_their_baskets():
    baskets = known(10)
    assert len(set(zip(baskets.basket, baskets.product, strict=True))) == len(baskets.product)
    assert np.array_equal(baskets.basket, np.sort(baskets.basket))
    assert baskets.basket_counts.tolist() == [3, 2]
    assert baskets.places_from_last.tolist() == [2, 1, 0, 1, 0]


def test_the_earlier_part_is_looked_at_from_the_later_one():
    baskets = known(10)
    past, later = baskets.split(np.array([False, False, True, False, False]))
    assert held(past) + held(later) == [*held(baskets)[:2], *held(baskets)[3:], held(baskets)[2]]
    assert past.now.tolist() == [later.at[0], baskets.now[1]]
