"""Ranking metrics are what one works out by hand, list by list."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from training.metrics.ranking import NOBODY, RANKING_METRICS, estimate_means, ranking_values

PRODUCTS, LENGTH = 8, 5
LISTS = st.permutations(range(PRODUCTS)).flatmap(lambda p: st.integers(0, LENGTH).map(lambda n: p[:n]))
SHOPS = st.lists(st.tuples(LISTS, st.sets(st.integers(0, PRODUCTS - 1))), min_size=1, max_size=6)


def by_hand(ranked: list[int], wanted: set[int], k: int) -> dict[str, float]:
    """Return the metrics of one list, as their definitions say."""
    if not wanted:
        return dict.fromkeys(RANKING_METRICS, math.nan)
    hits = [product in wanted for product in ranked[:k]]
    gain = sum(1 / math.log2(place + 2) for place, is_hit in enumerate(hits) if is_hit)
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
    return {"recall": sum(hits) / len(wanted), "ndcg": gain / best, "hit_rate": float(any(hits))}


@pytest.mark.parametrize("k", [1, 3, LENGTH])
@given(shop=SHOPS)
def test_it_is_what_the_definitions_say(k, shop):
    ranked = np.array([[*found, *[NOBODY] * (LENGTH - len(found))] for found, _ in shop])
    wanted = np.array([[product in basket for product in range(PRODUCTS)] for _, basket in shop])
    measured = ranking_values(ranked, sparse.csr_array(wanted), lengths=(k,))
    expected = [by_hand(found, basket, k) for found, basket in shop]
    for name in RANKING_METRICS:
        assert measured[f"{name}_at_{k}"] == pytest.approx([values[name] for values in expected], nan_ok=True)


def test_the_interval_of_a_mean_is_about_that_of_large_samples():
    values = np.random.default_rng(3).random(200)
    found = estimate_means({"it": values}, draws=300, seed=5)["it"]
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_customers_of_whom_nothing_is_known_do_not_count():
    values = np.array([0.25, np.nan, 0.75, np.nan])
    assert estimate_means({"it": values}, draws=50, seed=1)["it"].value == 0.5
    assert math.isnan(estimate_means({"it": np.full(3, np.nan)}, draws=5, seed=1)["it"].value)
