"""What is known of a customer and a product is what one counts by hand, and the same for one customer as for all."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.baskets import Baskets, baskets_of
from features.recommending.pairs import (
    CUSTOMER_FEATURES,
    PAIR_FEATURES,
    PRODUCT_FEATURES,
    RECENT_DAYS,
    customer_matrix,
    pairs,
    product_traits,
)

NOW, PRODUCTS = 100.0, "abcd"
BASKETS = st.lists(
    st.tuples(st.integers(0, 396).map(lambda quarters: quarters / 4), st.sets(st.sampled_from(PRODUCTS), min_size=1)),
    min_size=1,
    max_size=6,
).map(lambda told: sorted(told, key=lambda basket: basket[0]))
SHOPS = st.lists(BASKETS, min_size=1, max_size=4)
Told = list[tuple[float, set[str]]]


def baskets(shop: list[Told]) -> Baskets:
    rows = [
        (str(customer), place, at, product)
        for customer, told in enumerate(shop)
        for place, (at, basket) in enumerate(told)
        for product in sorted(basket)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "basket", "at", "product_id"])
    return baskets_of(frame, now=NOW, product_ids=list(PRODUCTS))


def over(figure: float, by: float) -> float:
    return figure / by if by > 0 else math.nan


def gap(steps: list[float]) -> float:
    return fmean(b - a for a, b in pairwise(steps)) if len(steps) > 1 else math.nan


def by_hand(shop: list[Told], customer: int, product: str) -> dict[str, float]:
    told = shop[customer]
    times, held = [at for at, _ in told], [place for place, (_, basket) in enumerate(told) if product in basket]
    bought = [times[place] for place in held]
    of_others = [[at for at, basket in others if product in basket] for others in shop]
    again = [of for of in of_others if len(of) > 1]
    buyers = sum(bool(of) for of in of_others)
    later = [len(told) - 1 - place for place in held]
    gap_of_product = fmean(gap(of) for of in again) if again else math.nan
    return {
        "pair_count": len(held),
        "pair_basket_rate": len(held) / len(told),
        "pair_rate_since_first": len(held) / (len(told) - held[0]),
        "pair_recency_days": NOW - bought[-1],
        "pair_recency_baskets": later[-1],
        "pair_age_days": NOW - bought[0],
        "pair_age_baskets": later[0],
        "pair_gap_days_mean": gap(bought),
        "pair_gap_baskets_mean": gap([float(place) for place in held]),
        "pair_due_days_rate": over(NOW - bought[-1], gap(bought)),
        "pair_due_baskets_rate": over(later[-1] + 1, gap([float(place) for place in held])),
        **{f"pair_decayed_{decay:g}": sum(decay**n for n in later) for decay in (0.95, 0.8, 0.5)},
        **{f"pair_decayed_{days}d": sum(0.5 ** ((NOW - at) / days) for at in bought) for days in (7, 30, 90)},
        "product_basket_count": sum(map(len, of_others)),
        "product_recent_basket_count": sum(at >= NOW - RECENT_DAYS for of in of_others for at in of),
        "product_buyer_count": buyers,
        "product_rebuy_rate": (len(again) + 1) / (buyers + 4),
        "product_gap_days_mean": gap_of_product,
        "pair_due_product_rate": over(NOW - bought[-1], gap_of_product),
        "customer_basket_count": len(told),
        "customer_basket_size_mean": fmean(len(basket) for _, basket in told),
        "customer_product_count": len({name for _, basket in told for name in basket}),
        "customer_recency_days": NOW - times[-1],
    }


@settings(deadline=None)
@given(shop=SHOPS)
def test_every_pair_is_what_one_counts(shop):
    told = baskets(shop)
    traits = product_traits(told)
    found = pairs(told, traits)
    whole = np.concatenate([found.matrix, traits[found.product], customer_matrix(told, found)[found.customer]], axis=1)
    names = [
        (int(told.customer_ids[c]), told.product_ids[p]) for c, p in zip(found.customer, found.product, strict=True)
    ]
    assert names == sorted({(n, name) for n, of in enumerate(shop) for _, basket in of for name in basket})
    for (customer, product), row in zip(names, whole, strict=True):
        expected = by_hand(shop, customer, product)
        features = [*PAIR_FEATURES, *PRODUCT_FEATURES, *CUSTOMER_FEATURES]
        assert dict(zip(features, row.tolist(), strict=True)) == pytest.approx(expected, rel=1e-5, nan_ok=True)


@settings(deadline=None)
@given(shop=SHOPS)
def test_one_customer_alone_has_the_same_rows_to_the_bit(shop):
    told = baskets(shop)
    traits = product_traits(told)
    whole = pairs(told, traits)
    for customer in range(len(shop)):
        alone = pairs(baskets([shop[customer]]), traits)
        rows = whole.customer == customer
        assert np.array_equal(alone.product, whole.product[rows])
        assert np.array_equal(alone.matrix, whole.matrix[rows], equal_nan=True)


def test_nobody_has_no_pairs():
    told = baskets([])
    assert pairs(told, product_traits(told)).matrix.shape == (0, len(PAIR_FEATURES))
