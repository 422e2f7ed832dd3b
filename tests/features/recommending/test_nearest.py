"""What lies near what is what one counts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from features.recommending.nearest import (
    NOBODY,
    Likes,
    best_of_rows,
    bought_by_the_same,
    bought_together,
    nearest_customers,
)
from tests.features.recommending.test_pairs import PRODUCTS, SHOPS, baskets

COUNT = 3


def by_hand(groups: list[set[str]], product: str) -> dict[str, float]:
    """Return the likeness of every other product that is in a group with one, by how many groups have both."""
    having = {name: sum(name in group for group in groups) for name in PRODUCTS}
    both = {name: sum({name, product} <= group for group in groups) for name in PRODUCTS if name != product}
    return {
        name: count / math.sqrt((having[name] + 5) * (having[product] + 5)) for name, count in both.items() if count
    }


@pytest.mark.parametrize("how", ["baskets", "customers"])
@given(shop=SHOPS)
def test_products_lie_near_those_they_are_bought_with(how, shop):
    told = baskets(shop)
    groups = [basket for of in shop for _, basket in of]
    if how == "customers":
        groups = [set().union(*(basket for _, basket in of)) for of in shop]
    found = (bought_together if how == "baskets" else bought_by_the_same)(told, COUNT)
    for number, product in enumerate(PRODUCTS):
        expected = by_hand(groups, product)
        best = sorted(expected, key=lambda name: (-round(expected[name], 6), name))[:COUNT]
        named = [PRODUCTS[other] for other in found.number[number] if other != NOBODY]
        assert sorted(named, key=lambda name: (-round(expected[name], 6), name)) == best or len(best) == COUNT
        assert found.likeness[number, : len(best)].tolist() == pytest.approx(
            sorted(expected.values(), reverse=True)[:COUNT]
        )


@given(
    table=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5),
    count=st.integers(1, 7),
)
def test_the_best_of_a_row_are_in_order_and_equal_ones_by_their_number(table, count):
    found = best_of_rows(sparse.csr_array(np.array(table, dtype=float)), count)
    for row, figures in enumerate(table):
        expected = sorted(
            (place for place in range(6) if figures[place] > 0), key=lambda place: (-figures[place], place)
        )
        assert [n for n in found.number[row].tolist() if n != NOBODY] == expected[:count]


def test_customers_lie_near_those_of_the_same_products_and_nobody_near_themselves():
    weights = sparse.csr_array(np.array([[2.0, 1, 0, 0], [4, 2, 0, 0], [0, 0, 1, 0], [0, 1, 3, 0], [0, 0, 0, 0]]))
    likes = Likes.of(weights)
    found = nearest_customers(likes, likes, np.arange(5), products=4, count=2)
    assert found.number[:, 0].tolist() == [1, 0, 3, 2, NOBODY]
    assert found.likeness[0, 0] == pytest.approx(1.0)
