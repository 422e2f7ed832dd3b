"""The benchmark of growing shops: what it simulates is a shop, and what it measures is measured."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.recommender.run import in_time
from benchmarks.recommender.scale import UNTIL, simulate, step
from facts.baskets import read_baskets
from facts.home import Home
from facts.lake import Lake
from training.metrics.ranking import LENGTHS, NOBODY
from training.recommender.baselines import counts_of
from training.recommender.nights import plan_nights

PRODUCTS, CUSTOMERS = 300, 400


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    found = Home(tmp_path_factory.mktemp("shelves"))
    simulate(Lake(found.lake), products=PRODUCTS, customers=CUSTOMERS)
    return found


def test_customers_have_habits_and_some_products_sell_more(home):
    baskets = read_baskets(Lake(home.lake), UNTIL)
    counts = counts_of(baskets)
    assert len(baskets.customer_ids) == CUSTOMERS
    assert (counts.data > 1).mean() > 0.2
    sold = np.sort(np.bincount(baskets.product, minlength=PRODUCTS))
    assert sold[-PRODUCTS // 10 :].sum() > sold.sum() / 3


def test_what_is_foretold_in_time_came_after_what_it_is_foretold_from(home):
    past, future, ours = in_time(Lake(home.lake))
    plan = plan_nights(Lake(home.lake).shop())
    start = plan.test.timestamp() / 86_400
    days = plan.wait.total_seconds() / 86_400
    assert past.at.max() < start <= future.at.min()
    assert future.at.max() < start + days
    assert np.array_equal(np.unique(future.customer), ours.whose)
    whole = read_baskets(Lake(home.lake), plan.test + plan.wait)
    first = whole.customer[(whole.at >= start)]
    known = np.isin(whole.customer_ids[np.unique(first)], past.customer_ids)
    assert list(past.customer_ids[ours.whose]) == list(whole.customer_ids[np.unique(first)][known])
    own = counts_of(past).toarray() > 0
    new = ours(past, max(LENGTHS), is_new=True)
    for customer in range(len(new)):
        listed = new[customer][new[customer] != NOBODY]
        assert not own[customer, listed].any()
        assert bool(len(listed)) == (customer in ours.whose)


def test_a_step_tells_what_it_took_and_no_file_of_a_night_is_copied(home):
    for name in ("learn", "build"):
        assert step(name, home.folder, PRODUCTS, CUSTOMERS)["peak_gigabytes"] > 0
    told = step("answer", home.folder, PRODUCTS, CUSTOMERS)
    assert 0 < told["p50_ms"] <= told["p99_ms"]
    assert told["mapped_megabytes"] > 0
    assert told["copied_megabytes"] == 0
