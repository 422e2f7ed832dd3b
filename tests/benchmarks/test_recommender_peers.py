"""The peers of the recommender are what their papers say, on baskets that a person can check."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.recommender.peers import (
    TifuKnn,
    factorised,
    nearest_items,
    personal_frequency,
    personal_then_popular,
    popularity,
)
from facts.baskets import Baskets, baskets_of
from training.metrics.ranking import NOBODY

PRODUCTS = "abcdef"
SHOPS = st.lists(
    st.lists(st.sets(st.sampled_from(PRODUCTS), min_size=1), min_size=1, max_size=9), min_size=1, max_size=5
)


def baskets(shop: list[list[set[str]]]) -> Baskets:
    rows = [
        (str(customer), place, float(place), product)
        for customer, told in enumerate(shop)
        for place, basket in enumerate(told)
        for product in sorted(basket)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "basket", "at", "product_id"])
    return baskets_of(frame, now=100.0, product_ids=list(PRODUCTS))


def weights_by_hand(told: list[set[str]], peer: TifuKnn) -> np.ndarray:
    """Return a customer's weights as the paper has it: group by group from the last one back, then their average."""
    groups, rest = [], list(told)
    while rest:
        groups.append(rest[-peer.group_size :])
        rest = rest[: -peer.group_size]
    of_groups = [
        np.mean(
            [
                peer.within_decay**later * np.array([product in basket for product in PRODUCTS])
                for later, basket in enumerate(reversed(group))
            ],
            axis=0,
        )
        for group in groups
    ]
    return np.mean([peer.group_decay**later * weight for later, weight in enumerate(of_groups)], axis=0)


@settings(deadline=None)
@given(shop=SHOPS, size=st.integers(1, 4), within=st.floats(0.1, 1), group=st.floats(0.1, 1), near=st.integers(1, 6))
def test_tifu_knn_is_what_the_paper_says(shop, size, within, group, near):
    peer = TifuKnn(group_size=size, within_decay=within, group_decay=group, alpha=0.6, neighbours=near)
    own = np.array([weights_by_hand(told, peer) for told in shop])
    assert peer.weights(baskets(shop)).toarray() == pytest.approx(own)
    ranked = peer(baskets(shop), len(PRODUCTS))
    for customer, vector in enumerate(own):
        far = [(np.linalg.norm(vector - other), n) for n, other in enumerate(own) if n != customer]
        if len({round(distance, 9) for distance, _ in far}) < len(far):
            continue  # of equally near customers, any may be a neighbour
        nearest = [own[n] for _, n in sorted(far)[:near]]
        scores = 0.6 * vector + 0.4 * (np.mean(nearest, axis=0) if nearest else 0)
        listed = [product for product in ranked[customer] if product != NOBODY]
        assert set(listed) == set(np.flatnonzero(scores))
        assert scores[listed] == pytest.approx(-np.sort(-scores[scores > 0]))


SHOP = [[{"a", "b"}, {"a"}, {"c"}], [{"b", "c"}, {"c"}], [{"c"}]]


def test_own_products_go_by_frequency_then_popularity_and_the_list_is_filled():
    told = baskets(SHOP)
    assert popularity(told, 3).tolist() == [[2, 0, 1]] * 3
    assert personal_frequency(told, 3).tolist() == [[0, 2, 1], [2, 1, NOBODY], [2, NOBODY, NOBODY]]
    assert personal_then_popular(told, 3).tolist() == [[0, 2, 1], [2, 1, 0], [2, 0, 1]]


@given(shop=SHOPS, count=st.integers(1, 6))
def test_no_list_names_a_product_twice(shop, count):
    told = baskets(shop)
    for row in personal_then_popular(told, count):
        assert len(set(row)) == len(row) == count


@settings(deadline=None)
@given(shop=SHOPS, count=st.integers(1, 6))
@pytest.mark.parametrize("peer", [popularity, personal_frequency, personal_then_popular, TifuKnn(neighbours=2)])
def test_lists_of_new_products_have_nothing_that_was_bought_before(peer, shop, count):
    told = baskets(shop)
    for customer, row in enumerate(peer(told, count, is_new=True)):
        own = {product for basket in shop[customer] for product in basket}
        assert not own & {PRODUCTS[product] for product in row if product != NOBODY}


def test_new_ones_by_popularity_are_the_best_of_the_rest():
    assert popularity(baskets(SHOP), 2, is_new=True).tolist() == [[3, 4], [0, 3], [0, 1]]


@pytest.mark.parametrize("peer", [nearest_items, factorised])
def test_implicits_lists_of_new_products_have_nothing_that_was_bought_before(peer):
    pytest.importorskip("implicit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranked = peer(baskets([*SHOP, [{"a", "c", "d"}], [{"e", "f"}, {"a"}]]), 4, is_new=True)
    assert set(ranked[0]) <= {3, 4, 5, NOBODY}
    assert set(ranked[3]) <= {1, 4, 5, NOBODY}


@pytest.mark.parametrize("peer", [nearest_items, factorised])
def test_implicits_models_name_what_goes_together(peer):
    """Half of the shop buys a and b, the other half c and d."""
    pytest.importorskip("implicit")
    first, second = [{"a", "b"}, {"a", "b"}], [{"c", "d"}, {"c", "d"}]
    told = baskets([first, second] * 20 + [[{"a"}], [{"c"}]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the threads of the linear algebra
        ranked = peer(told, 2)
    names = {str(told.customer_ids[n]): told.product_ids[ranked[n]].tolist() for n in range(len(ranked))}
    assert set(names["40"]) == {"a", "b"}
    assert set(names["41"]) == {"c", "d"}
