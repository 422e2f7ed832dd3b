"""A customer alone has the candidates that it has among others, and what is not allowed is none."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts.home import Home
from facts.lake import Lake
from features.lake_events import read_events
from features.live import LIVE_EVENTS
from features.live_events import REACH, LiveEvent
from features.recommending.asking import ASKING_EVENTS, ask, since_night
from features.recommending.candidates import CANDIDATE_FEATURES, Source, find_candidates
from features.recommending.night import ShopNight, read_night
from tests.builders import at
from tests.market import CUSTOMERS, DAYS, GONE, ODD, ONCE

EVERYONE = [*(f"c{number}" for number in range(CUSTOMERS)), ONCE, "nobody"]
NOW = at(DAYS) + timedelta(hours=3)
WORDS = sorted(LIVE_EVENTS)
PLACE = {name: place for place, name in enumerate(CANDIDATE_FEATURES)}
of_the_market = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def night(market: Home) -> ShopNight:
    return read_night(market)


@pytest.fixture(scope="module")
def events(market: Home):
    return read_events(Lake(market.lake), EVERYONE, names=ASKING_EVENTS, since=NOW - REACH, until=NOW)


def order(message: str, products: list[str], *, hours: float = 1, **told) -> LiveEvent:
    properties = {"order_id": message, "products": [{"product_id": p, "price": 2, "quantity": 1} for p in products]}
    when = at(DAYS) + timedelta(hours=hours)
    return LiveEvent(message, "Order Completed", when, told.get("received_at", when), properties, told.get("held"))


def happened(message: str, event: str, product: str, *, hours: float) -> LiveEvent:
    when = at(DAYS) + timedelta(hours=hours)
    return LiveEvent(message, event, when, when, {"product_id": product, "price": 2, "quantity": 1})


def test_everyone_alone_is_as_among_all(night, events):
    among = find_candidates(night.shelf, ask(night, EVERYONE, events, at=NOW))
    for number, name in enumerate(EVERYONE[::7] + EVERYONE[-2:]):
        alone = find_candidates(night.shelf, ask(night, [name], events, at=NOW))
        rows = among.customer == EVERYONE.index(name)
        assert np.array_equal(alone.product, among.product[rows]), number
        assert np.array_equal(alone.source, among.source[rows])
        assert np.array_equal(alone.matrix, among.matrix[rows], equal_nan=True)


@of_the_market
@given(data=st.data())
def test_nothing_is_a_candidate_that_is_not_allowed_or_lies_in_the_cart(night, events, data):
    everything = np.arange(len(night.catalog))
    allowed = np.array(data.draw(st.lists(st.sampled_from(everything.tolist()))), dtype=np.int64)
    cart = data.draw(st.lists(st.sampled_from(everything.tolist()), max_size=5))
    customers = data.draw(st.lists(st.sampled_from(EVERYONE), min_size=1, max_size=4, unique=True))
    asked = ask(night, customers, events, at=NOW, context=cart)
    found = find_candidates(night.shelf, asked, is_allowed=lambda products: np.isin(products, allowed))
    assert np.isin(found.product, allowed).all()
    assert not np.isin(found.product, cart).any()
    keys = found.customer * len(night.catalog) + found.product
    assert np.array_equal(keys, np.unique(keys))


def test_all_that_was_bought_and_is_told_of_is_a_candidate(night, events):
    asked = ask(night, ["c0"], events, at=NOW)
    found = find_candidates(night.shelf, asked)
    own = np.unique(asked.baskets.product)
    assert set(own) <= set(found.product.tolist())
    assert (found.matrix[np.isin(found.product, own), PLACE["pair_count"]] > 0).all()
    assert (found.matrix[~np.isin(found.product, own), PLACE["pair_count"]] == 0).all()


def test_an_order_counts_from_its_event_on_and_once(night):
    odd = night.catalog.product_ids.find(ODD)
    assert odd is not None

    def count(*told: LiveEvent) -> tuple[float, float]:
        asked = ask(night, [ONCE], {ONCE: list(told)}, at=NOW)
        found = find_candidates(night.shelf, asked)
        row = found.matrix[found.product == odd]
        return float(asked.baskets.basket_counts[0]), float(row[0, PLACE["pair_count"]]) if len(row) else 0.0

    new = order("m1", [ODD, GONE])
    assert count() == (1, 0)
    assert count(new) == (2, 1)
    assert count(new, new) == (2, 1)
    assert count(order("m1", [ODD], hours=5)) == (1, 0)  # after the instant
    assert count(order("m1", [ODD], held=at(DAYS - 1))) == (1, 0)  # the night has it from a file
    cancelled = LiveEvent(
        "m2", "Order Cancelled", NOW - timedelta(hours=1), NOW - timedelta(hours=1), {"order_id": "m1"}
    )
    assert count(new, cancelled) == (1, 0)


@of_the_market
@given(
    told=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["care-1", ODD]), st.integers(1, 4)), max_size=8)
)
def test_no_event_that_is_not_read_for_a_question_changes_it(night, told):
    """What serving is given, all events of a customer, and what a file or a training reads lead to the same."""
    every = [
        LiveEvent(
            f"m{n}",
            word,
            when,
            when,
            {"order_id": "o", "product_id": product, "products": [{"product_id": product, "price": 1}]},
        )
        for n, (word, product, hour) in enumerate(told)
        for when in [at(DAYS) + timedelta(hours=hour / 2)]
    ]
    read = [event for event in every if event.event in ASKING_EVENTS]
    assert repr(since_night(night, every, at=NOW)) == repr(since_night(night, read, at=NOW))


def test_the_cart_is_what_was_put_into_it_since_the_last_order(night):
    added = happened("a", "Product Added", "care-1", hours=0.5)
    removed = happened("r", "Product Removed", "care-1", hours=0.7)
    number = night.catalog.product_ids.find("care-1")
    assert since_night(night, [added], at=NOW).cart == (number,)
    assert since_night(night, [added, removed], at=NOW).cart == ()
    assert since_night(night, [added, order("o", ["care-1"])], at=NOW).cart == ()


def test_what_was_looked_at_is_a_candidate_and_says_when(night):
    seen = happened("v", "Product Viewed", "garden-9", hours=1)
    found = find_candidates(night.shelf, ask(night, ["c1"], {"c1": [seen, seen]}, at=NOW))
    row = found.product == night.catalog.product_ids.find("garden-9")
    assert found.source[row] & Source.VIEWED
    assert found.matrix[row, PLACE["view_count"]] == 1
    assert found.matrix[row, PLACE["view_recency_days"]] == pytest.approx(2 / 24)


def test_a_product_that_no_feed_tells_of_is_not_offered(night):
    gone = night.catalog.product_ids.find(GONE)
    assert not night.catalog.is_offered[gone]
    assert night.catalog.is_offered.sum() == len(night.catalog) - 1
