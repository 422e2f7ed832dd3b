"""Lists hold what was asked for and nothing that may not be offered, and say why."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts.errors import UnknownName
from facts.home import Home
from facts.lake import Lake
from features.lake_events import read_events
from features.live_events import REACH
from features.recommending.asking import ASKING_EVENTS, ask
from features.recommending.catalog import UnknownFilter
from features.recommending.category_map import map_categories
from features.recommending.night import ShopNight, build_night, read_night, write_night
from scoring.ranker import Ranker
from scoring.recommend import KINDS, Wish, explain, kind_of, recommend
from scoring.recommend_batch import map_lake, recommend_lake
from scoring.registry import read_recommender
from tests.builders import at
from tests.market import CUSTOMERS, DAYS, GONE, ODD, ONCE, TASTES, bring_in

CUSTOMER_IDS = [*(f"c{number}" for number in range(CUSTOMERS)), ONCE, "nobody"]
NOW = at(DAYS) + timedelta(hours=3)


@pytest.fixture(scope="module")
def night(market: Home) -> ShopNight:
    return read_night(market)


@pytest.fixture(scope="module")
def ranker(market: Home) -> Ranker:
    found = read_recommender(market)
    assert found is not None
    return found


def listed(night: ShopNight, ranker: Ranker, customer: str, wish: Wish, context: list[int] | None = None) -> list[str]:
    asked = ask(night, [customer], {}, at=NOW, context=context or [])
    return [night.catalog.product_ids.text(number) for number in recommend(night, ranker, asked, wish).product.tolist()]


FILTERS = st.dictionaries(
    st.sampled_from(["department", "category", "brand"]),
    st.lists(st.sampled_from(["food", "home", *TASTES, "brand 0", "brand 1", "none"]), min_size=1, max_size=3),
    max_size=3,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    customer=st.sampled_from(CUSTOMER_IDS),
    wish=st.builds(
        Wish,
        kind=st.sampled_from(KINDS),
        count=st.integers(1, 200),
        filters=FILTERS,
        excluded=st.sets(st.integers(0, 40)).map(lambda products: np.array(sorted(products), np.int64)),
        diversity=st.sampled_from([0.0, 0.3, 1.0]),
        repeat_share=st.sampled_from([0.0, 0.4, 1.0]),
    ),
    context=st.lists(st.integers(0, 40), max_size=500),
)
def test_nothing_is_listed_that_may_not_be(night, ranker, customer, wish, context):
    catalog = night.catalog
    asked = ask(night, [customer], {}, at=NOW, context=context)
    lists = recommend(night, ranker, asked, wish)
    products = lists.product.tolist()
    assert len(products) == len(set(products)) <= wish.count
    assert not {*wish.excluded.tolist(), *context} & set(products)
    assert GONE not in [catalog.product_ids.text(product) for product in products]
    for name, values in wish.filters.items():
        grouping = catalog.groupings[name]
        assert {grouping.names.text(int(grouping.group[product])) for product in products} <= set(values)
    bought = set(asked.baskets.product.tolist())
    assert wish.kind != "discover" or not bought & set(products)
    assert wish.kind != "replenish" or set(products) <= bought
    assert all(why.reason and why.source for why in explain(night, asked, lists))
    if wish.diversity == 0:
        assert lists.score.tolist() == sorted(lists.score, reverse=True)


def test_as_many_are_listed_as_there_are(night, ranker):
    assert len(listed(night, ranker, "c0", Wish(count=200))) == len(night.catalog) - 1  # all but the one not told of


def test_an_unknown_customer_gets_what_is_popular_and_what_goes_with_the_cart(night, ranker):
    first = listed(night, ranker, "nobody", Wish(count=5))
    most = [night.catalog.product_ids.text(int(n)) for n in night.shelf.popular if night.catalog.is_offered[n]]
    assert first == most[:5]
    odd = night.catalog.product_ids.find(ODD)
    with_odd = listed(night, ranker, "nobody", Wish(count=5), context=[odd])
    assert sum(name.startswith("dairy") for name in with_odd) >= 4


def test_tastes_are_found(night, ranker):
    """Of what customers never bought, most of what is offered first is of their taste."""
    own = [
        name.startswith(TASTES[number % len(TASTES)]) or name == ODD
        for number in range(40)
        for name in listed(night, ranker, f"c{number}", Wish(count=3))
    ]
    assert np.mean(own) > 0.9


def test_diversity_leaves_fewer_of_one_category(night, ranker):
    def most_of_one(diversity: float) -> float:
        counts = []
        for number in range(20):
            found = listed(night, ranker, f"c{number}", Wish(count=8, diversity=diversity))
            counts.append(max(Counter(name.split("-")[0] for name in found).values()))
        return float(np.mean(counts))

    assert most_of_one(1.0) < most_of_one(0.0)


def test_reasons_say_what_happened(night, ranker):
    asked = ask(night, [ONCE], {}, at=NOW)
    lists = recommend(night, ranker, asked, Wish(count=200))
    told = {
        night.catalog.product_ids.text(product): why
        for product, why in zip(lists.product.tolist(), explain(night, asked, lists), strict=True)
    }
    assert (told["care-1"].reason, told["care-1"].source) == ("bought 50 days ago", "own")
    assert {why.source for why in told.values()} >= {"own", "similar_customers"}


def test_what_is_due_says_when(night, ranker):
    """The usual gap is over in three days at most, and the interval is in its order and within the horizon."""
    asked = ask(night, CUSTOMER_IDS, {}, at=NOW)
    lists = recommend(night, ranker, asked, Wish(count=200, kind="replenish"))
    due = lists.due
    assert due is not None
    assert len(due.key) == len(lists.product) > 100
    assert np.array_equal(due.key, lists.customer * len(night.catalog) + lists.product)
    assert (due.due_days <= 3).all()
    assert (np.diff(due.interval, axis=1) >= 0).all()
    assert (due.interval >= 0).all()
    assert (due.interval <= due.horizon_days).all()
    assert ((due.probability > 0) & (due.probability < 1)).all()
    rows = dict(zip(due.key.tolist(), lists.row.tolist(), strict=True))
    counts = lists.candidates.matrix[list(rows.values()), 0]
    assert (counts >= 2).all()


def test_an_unknown_grouping_or_kind_is_named(night, ranker):
    with pytest.raises(UnknownFilter, match="no 'colour' to filter by; they have department, category, brand"):
        listed(night, ranker, "c0", Wish(filters={"colour": ["red"]}))
    with pytest.raises(UnknownName, match="no kind named 'next'"):
        kind_of("next")


def test_a_shop_that_tells_of_no_products_has_recommendations_and_no_categories(ranker, tmp_path):
    home = Home(tmp_path / "home")
    lake = bring_in(home, told=[])
    write_night(home, build_night(lake, at(DAYS)))
    night = read_night(home)
    assert ODD in listed(night, ranker, "c0", Wish(count=200))
    assert GONE in listed(night, ranker, "nobody", Wish(count=5))
    assert listed(night, ranker, "c1", Wish(count=5, diversity=1.0)) == listed(night, ranker, "c1", Wish(count=5))
    assert len(map_categories(night, ask(night, ["c0", "nobody"], {}, at=NOW), count=10).category) == 0
    with pytest.raises(UnknownFilter, match="nothing by which they could be filtered"):
        listed(night, ranker, "c0", Wish(filters={"department": ["food"]}))


def test_the_map_of_everyone_is_that_of_each(market, night, tmp_path):
    done = map_lake(Lake(market.lake), night, tmp_path / "map.parquet", count=2, as_of=NOW)
    table = pq.read_table(tmp_path / "map.parquet").to_pandas()
    assert done == table["customer_id"].nunique() == len(night.histories.customer_ids)
    events = read_events(Lake(market.lake), ["c7"], names=ASKING_EVENTS, since=NOW - REACH, until=NOW)
    alone = map_categories(night, ask(night, ["c7"], events, at=NOW), count=2)
    found = table[table["customer_id"] == "c7"]
    assert found["place"].tolist() == [1, 2]
    assert found["category"].tolist() == [night.category_names.text(number) for number in alone.category.tolist()]
    assert found["probability"].to_numpy().tolist() == alone.probability.tolist()
    assert found[["p10_days", "p50_days", "p90_days"]].to_numpy().tolist() == alone.interval.tolist()


def test_the_file_has_everyones_list_as_one_alone_gets_it(market, night, ranker, tmp_path):
    lake, wish = Lake(market.lake), Wish(count=4)
    done = recommend_lake(lake, night, ranker, tmp_path / "lists.parquet", wish, as_of=NOW)
    frame = pq.read_table(tmp_path / "lists.parquet").to_pandas()
    assert done == CUSTOMERS + 1 == frame["customer_id"].nunique()
    assert frame.groupby("customer_id")["place"].apply(list).map(tuple).unique().tolist() == [(1, 2, 3, 4)]
    events = read_events(lake, CUSTOMER_IDS, names=ASKING_EVENTS, since=NOW - REACH, until=NOW)
    for customer in ("c0", "c10", ONCE):
        asked = ask(night, [customer], events, at=NOW)
        alone = recommend(night, ranker, asked, wish)
        rows = frame[frame["customer_id"] == customer]
        assert rows["product_id"].tolist() == [night.catalog.product_ids.text(n) for n in alone.product.tolist()]
        assert rows["score"].tolist() == alone.score.tolist()
