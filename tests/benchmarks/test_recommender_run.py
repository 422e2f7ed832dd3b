"""The run measures the parts of a basket apart, and chooses settings by baskets that are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.recommender.run import Outcome, search_tifu
from tests.benchmarks.test_recommender_peers import baskets
from training.recommender.baselines import counts_of
from training.recommender.evaluation import PARTS, parts_of
from training.recommender.questions import last_baskets


def test_what_was_bought_before_and_what_is_new_make_up_the_basket():
    past, future = last_baskets(baskets([[{"a", "b"}, {"b", "c"}], [{"d"}], [{"a"}, {"a"}]]))
    whole, before, new = (parts_of(counts_of(future), counts_of(past))[part].toarray() for part in PARTS)
    assert np.array_equal(whole, counts_of(future).toarray() > 0)
    assert np.array_equal(whole, before | new)
    assert np.argwhere(before).tolist() == [[0, 1], [2, 0]]


def test_settings_are_those_that_foretell_the_last_known_basket():
    """Everyone has turned from one product to another: what came last says more than what came often."""
    shop = [[{"a"}] * 5 + [{"b"}] * 5, [{"c"}] * 5 + [{"d"}] * 5] * 10
    found = search_tifu(baskets(shop))
    assert found.group_decay < 1
    past, future = last_baskets(baskets(shop))
    assert found(past, 1)[:, 0].tolist() == future.product.tolist()


def test_being_ahead_is_measured_customer_by_customer():
    chance = np.random.default_rng(1).random(50)
    better, worse = (
        Outcome(name=name, values={"all": {"recall_at_10": chance + more}})
        for name, more in (("better", 0.25), ("worse", 0.0))
    )
    ahead = better.ahead_of(worse, "all")["recall_at_10"]
    assert (ahead.low, ahead.value, ahead.high) == pytest.approx((0.25, 0.25, 0.25))
