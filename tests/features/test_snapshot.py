"""The snapshot against a shop that a person can check, and against pandas on a sample of Complete Journey.

What holds of it whatever the shop stands in tests/contracts/test_snapshot_laws.py.
"""

from __future__ import annotations

import math
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pandas as pd
import pytest

from benchmarks.pandas_features import as_frame, pandas_features
from facts.contracts import FACTS
from facts.ingest import read_source
from facts.merge import begin
from features.catalog import FEATURES, RECORD, feature
from features.measures import BuyTillYouDie, Ratio
from features.snapshot import NEEDED_FACTS, snapshot
from tests.builders import REDEMPTION, Event, Line, Order, Product, at, shop

NAMES = tuple(record.name for record in FEATURES if not isinstance(record.measure, BuyTillYouDie))

CUTOFF = at(100)  # Wednesday 2024-04-10 00:00 UTC, a hundred days after Monday 2024-01-01
MISSING = math.nan

# Day 0 is a Monday: day 80 is a Thursday, day 90 a Sunday, day 93 a Wednesday, day 96 a Saturday.
ANN = [
    Order(customer="ann", at=at(0, 10), lines=(Line(product="soap", net="20.00", units=2),)),
    Order(
        customer="ann",
        at=at(80, 9),
        lines=(
            Line(product="milk", net="4.00", discount="1.00"),
            Line(product="cheese", net="6.00", units=3),
            Line(product="milk", net="2.00", coupon="0.50"),
            Line(product="bread", net="8.00", discount="4.00"),
        ),
    ),
    Order(customer="ann", at=at(90, 20), lines=(Line(product="bread", net="5.00"),)),
    Order(customer="ann", at=at(90, 8), lines=(Line(product="misc", net="1.00"),)),
    Order(customer="ann", at=at(96, 12), lines=(Line(product="milk", net="10.00", discount="2.50"),)),
    Order(customer="ann", at=at(100), lines=(Line(product="soap", net="999.00"),)),  # at the cutoff: not yet known
    Order(customer="ann", at=at(99), received_at=at(101), lines=(Line(product="soap", net="999.00"),)),  # learned later
]
BOB = [Order(customer="bob", at=at(93), lines=(Line(product="unlisted", net="0.00", coupon="0.10"),))]  # 7 days before
SENT_BACK = Line(product="milk", net="10.00", discount="2.00")
DAN = [
    Order(customer="dan", at=at(5), lines=(Line(product="bread", net="2.00"),)),
    Order(customer="dan", at=at(60), superseded_at=at(99)),  # it never was, as was learned in time
    Order(customer="dan", at=at(85, 10), lines=(SENT_BACK, Line(product="cheese", net="5.00"))),
    Order(customer="dan", at=at(92), kind="return", lines=(SENT_BACK.sent_back,)),
    Order(customer="dan", at=at(95, 9), kind="cancelled", lines=(Line(product="soap", net="50.00"),)),
    Order(customer="dan", at=at(97, 12), lines=(Line(product="soap", net="3.00"),)).then(
        Order(
            customer="dan",
            at=at(97, 12),
            received_at=at(98),
            lines=(Line(product="bread", net="4.00"), Line(product="milk", net="1.00")),
        ),
        Order(customer="dan", at=at(97, 12), received_at=at(100), lines=(Line(net="999.00"),)),  # not yet known
    ),
]
EVA = [Order(customer="eva", at=at(90), kind="cancelled", lines=(SENT_BACK,))]
EVENTS = [
    Event(customer="ann", at=at(20)),
    Event(customer="ann", at=at(95, 12)),
    Event(customer="ann", event=REDEMPTION, at=at(97), received_at=at(98)),
    Event(
        customer="ann", event=REDEMPTION, at=at(99), received_at=at(100)
    ),  # its day is over at the cutoff, not before
    Event(customer="ann", event="Product Viewed", at=at(99)),
    Event(customer="bob", at=at(100)),
    Event(customer="cem", at=at(50)),  # has no order: no row
]

#                       ann, bob, dan
EXPECTED = {
    "order_recency_days": (3.5, 7.0, 2.5),
    "customer_tenure_days": (100 - 10 / 24, 7.0, 95.0),
    "visit_gap_mean_90d": (
        (80 + 10 + 6) / 3,
        MISSING,
        46.0,
    ),  # the gap before a visit counts, however long ago it began
    "visit_gap_median_365d": (10.0, MISSING, 46.0),
    "visit_gap_max_365d": (80.0, MISSING, 80.0),
    "visit_gap_std_365d": (math.sqrt((48**2 + 22**2 + 26**2) / 2), MISSING, math.sqrt(2 * 34**2)),
    "order_due_ratio_365d": (3.5 / 32, MISSING, 2.5 / 46),
    "tenure_recency_ratio": (3.5 / (100 - 10 / 24), 1.0, 2.5 / 95),
    "order_count_7d": (1, 1, 1),  # seven days to the instant are within the window
    "order_count_14d": (3, 1, 1),
    "order_count_90d": (4, 1, 2),
    "order_count_365d": (5, 1, 3),
    "visit_count_14d": (2, 1, 1),  # two orders on day 90 are one visit
    "visit_count_365d": (4, 1, 3),
    "order_count_trend_7d": (1 * (30 / 7) / 4, 30 / 7, (30 / 7) / 2),
    "spend_amount_7d": (10.0, 0.0, 5.0),
    "spend_amount_30d": (36.0, 0.0, 10.0),
    "spend_amount_365d": (56.0, 0.0, 12.0),
    "spend_amount_trend_30d": (36 * 3 / 36, MISSING, 3.0),  # nothing over nothing
    "order_value_mean_30d": (9.0, 0.0, 10.0),
    "order_value_max_90d": (20.0, 0.0, 15.0),
    "order_value_median_365d": (10.0, 0.0, 5.0),  # of 1, 5, 10, 20, 20
    "gross_amount_30d": (43.5, 0.0, 22.0),
    "discount_amount_30d": (7.5, 0.0, 2.0),
    "discount_rate_30d": (7.5 / 43.5, MISSING, 2 / 22),
    "coupon_amount_90d": (0.5, 0.1, 0.0),
    "coupon_order_rate_90d": (0.25, 1.0, 0.0),
    "line_count_30d": (7, 1, 4),
    "unit_count_90d": (9, 1, 4),
    "basket_line_mean_30d": (7 / 4, 1.0, 2.0),
    "basket_line_max_90d": (4, 1, 2),
    "small_order_count_90d": (3, 1, 2),
    "category_count_30d": (2, 0, 2),  # dairy and bakery; what has no category is none
    "category_count_365d": (3, 0, 2),
    "department_count_90d": (1, 0, 1),
    "brand_count_90d": (2, 0, 2),
    "product_count_90d": (4, 1, 3),  # a product counts, listed or not
    "product_variety_rate_90d": (4 / 7, 1.0, 3 / 4),
    "private_label_amount_90d": (16.0, 0.0, 11.0),
    "private_label_rate_90d": (16 / 36, MISSING, 11 / 10),
    "weekend_order_count_90d": (3, 0, 1),  # twice on Sunday, day 90, once on Saturday, day 96
    "evening_order_rate_365d": (0.2, 0.0, 0.0),
    "order_hour_mean_365d": ((10 + 9 + 20 + 8 + 12) / 5, 0.0, (0 + 10 + 12) / 3),
    "campaign_count_30d": (1, 0, 0),
    "campaign_count_365d": (2, 0, 0),
    "redemption_count_30d": (1, 0, 0),
    "campaign_response_rate_365d": (0.5, MISSING, MISSING),
    "campaign_recency_days": (4.5, MISSING, MISSING),
    "redemption_recency_days": (3.0, MISSING, MISSING),
    "visit_count": (4, 1, 3),
    "discounted_order_count_365d": (2, 0, 1),
    "discounted_order_rate_365d": (0.4, 0.0, 1 / 3),
    "new_product_count_30d": (4, 1, 2),  # bread is nothing new to dan
    "new_product_rate_90d": (1.0, 1.0, 2 / 3),
    "return_count_90d": (0, 0, 1),
    "returned_amount_90d": (0.0, 0.0, 10.0),
    "sale_amount_90d": (36.0, 0.0, 20.0),
    "return_rate_90d": (0.0, MISSING, 0.5),
    "return_recency_days": (MISSING, MISSING, 8.0),
    "cancelled_order_count_365d": (0, 0, 1),
}


@pytest.fixture(scope="module")
def small_shop():
    return snapshot(shop([*ANN, *BOB, *DAN, *EVA], EVENTS), [CUTOFF]).execute().set_index("customer_id")


def test_only_customers_with_a_known_order_have_a_row(small_shop):
    assert list(small_shop.index) == ["ann", "bob", "dan", "eva"]


def test_of_a_customer_whose_order_was_cancelled_no_more_is_known(small_shop):
    eva = small_shop.loc["eva", list(NAMES)]
    known = {"season_sine", "season_cosine", "cancelled_order_count_365d"}
    assert eva["cancelled_order_count_365d"] == 1
    assert [name for name in NAMES if name not in known and not (eva[name] == 0 or math.isnan(eva[name]))] == []
    assert math.isnan(eva["order_recency_days"])


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=list(EXPECTED))
def test_every_value_is_the_one_worked_out_by_hand(small_shop, name, expected):
    found = small_shop.loc[["ann", "bob", "dan"], name].to_numpy()
    np.testing.assert_array_equal(found, np.array(expected, dtype="float32"))


def test_every_kind_of_measure_is_worked_out_by_hand():
    worked_out = [feature(name) for name in (*EXPECTED, *A_YEAR_AGO, *SEASON, RECORD)]
    ratios = [record.measure for record in worked_out if isinstance(record.measure, Ratio)]
    worked_out += [feature(name) for ratio in ratios for name in (ratio.numerator, ratio.denominator)]
    assert {kind_of(record) for record in worked_out} == {kind_of(feature(name)) for name in NAMES}


def kind_of(feature):
    measure = feature.measure
    asked = [getattr(measure, name, None) for name in ("fact", "how", "which", "where", "horizon_days")]
    return type(measure), *asked, feature.ago_days is not None


# A year and sixteen days after Monday 2024-01-01: 52 weeks before it, Thursday 2024-01-18, four weeks begin.
A_YEAR_AGO = {"order_count_year_ago_28d": 2, "spend_amount_year_ago_28d": 9.0}


@pytest.mark.parametrize(("observed_from", "is_observed"), [(None, True), (at(17), True), (at(17, 1), False)])
def test_a_year_ago_is_four_weeks_that_began_52_weeks_ago(observed_from, is_observed):
    orders = [
        Order(at=at(16, 23), lines=(Line(net="100"),)),
        Order(at=at(17), lines=(Line(net="5"),)),
        Order(at=at(20), kind="cancelled", lines=(Line(net="100"),)),
        Order(at=at(30), kind="return", lines=(Line(net="-3"),)),
        Order(at=at(44, 23), lines=(Line(net="7"),)),
        Order(at=at(45), lines=(Line(net="100"),)),
        Order(customer="bob", at=at(200)),  # was not there
    ]
    asked = [feature(name) for name in A_YEAR_AGO]
    rows = snapshot(shop(orders), [at(381)], asked, observed_from=observed_from).execute().set_index("customer_id")
    ann, bob = ([*A_YEAR_AGO.values()], [0, 0]) if is_observed else ([MISSING] * 2, [MISSING] * 2)
    np.testing.assert_array_equal(rows.loc[["ann", "bob"], list(A_YEAR_AGO)], [ann, bob])


SEASON = {"season_sine": (0, 1, 0, -1), "season_cosine": (1, 0, -1, 0)}


def test_the_season_is_a_point_on_a_circle():
    quarters = [at(0), at(91), at(182), at(274)]  # 2024-01-01, 04-01, 07-01, 10-01
    rows = snapshot(shop([Order(at=at(-1))]), quarters, [feature(name) for name in SEASON]).execute()
    for name, expected in SEASON.items():
        np.testing.assert_allclose(rows[name], expected, atol=0.03)
    np.testing.assert_allclose(rows["season_sine"] ** 2 + rows["season_cosine"] ** 2, 1, rtol=1e-6)


@pytest.mark.parametrize(("begins", "told"), [(at(-40), [41, 365]), (at(0.5), [0.5, 365]), (None, [np.nan, np.nan])])
def test_the_record_reaches_back_a_year_at_most(begins, told):
    rows = snapshot(shop([Order(at=at(-1))]), [at(1), at(400)], [feature(RECORD)], observed_from=begins).execute()
    np.testing.assert_array_equal(rows[RECORD], np.array(told, np.float32))


def test_columns_are_the_catalog_in_float32(small_shop):
    assert tuple(small_shop.columns) == ("cutoff", *NAMES)
    assert set(small_shop.dtypes[list(NAMES)]) == {np.dtype("float32")}


def test_rows_are_ordered_by_cutoff_and_customer():
    rows = snapshot(shop([*BOB, *ANN]), [CUTOFF, at(95)], [feature("order_count_7d")]).execute()
    assert list(zip(rows["cutoff"], rows["customer_id"], strict=True)) == [
        (at(95), "ann"), (at(95), "bob"), (CUTOFF, "ann"), (CUTOFF, "bob"),
    ]  # fmt: skip


def test_a_part_of_the_catalog_gives_the_same_values(small_shop):
    names = ("category_count_30d", "order_count_7d", "campaign_recency_days", "spend_amount_30d", "visit_count")
    rows = snapshot(shop([*ANN, *BOB, *DAN, *EVA], EVENTS), [CUTOFF], [feature(name) for name in names])
    pd.testing.assert_frame_equal(rows.execute().set_index("customer_id"), small_shop[["cutoff", *names]])


def test_a_shop_without_facts_has_no_rows():
    assert snapshot(shop(), [CUTOFF], [feature("order_count_7d")]).execute().empty


def test_order_without_lines_is_an_order():
    rows = snapshot(
        shop([Order(at=at(99), lines=())]), [CUTOFF], [feature("order_count_7d"), feature("spend_amount_7d")]
    )
    assert rows.execute()[["order_count_7d", "spend_amount_7d"]].to_numpy().tolist() == [[1.0, 0.0]]


def test_a_cutoff_in_another_zone_is_the_same_instant(small_shop):
    elsewhere = CUTOFF.astimezone(ZoneInfo("America/New_York"))
    rows = snapshot(shop([*ANN, *BOB, *DAN]), [elsewhere], [feature("order_count_90d")]).execute()
    assert rows["order_count_90d"].tolist() == small_shop["order_count_90d"].tolist()[:3]


def test_days_without_hours_and_lines_without_units_or_products_are_counted_as_far_as_they_go():
    orders = [
        Order(at=at(98), is_timed=False, lines=(Line(product=None, units=None), Line(product=None, units=2))),
        Order(at=at(97, 20), lines=(Line(product=None, units=None),)),
    ]
    expected = {"order_hour_mean_365d": 20, "evening_order_count_365d": 1, "unit_count_90d": 2, "product_count_90d": 0}
    rows = snapshot(shop(orders), [CUTOFF], [feature(name) for name in expected]).execute()
    assert rows[list(expected)].iloc[0].to_dict() == expected


def test_what_was_not_known_at_an_earlier_instant_is_not_used():
    asked = [feature(name) for name in ("spend_amount_30d", "order_recency_days")]
    tables = shop([*ANN, *BOB, *DAN], EVENTS)
    rows = snapshot(tables, [CUTOFF], asked, known_at=at(98)).execute().set_index("customer_id")
    assert rows["spend_amount_30d"].tolist() == [36.0, 0.0, 8.0]  # of dan's last order the first version
    assert rows["order_recency_days"].tolist() == [3.5, 7.0, 2.5]  # at the cutoff, not at the earlier instant


class TestBeforeACorrection:
    """An order of day 90 that is corrected after the cutoff; until then its first version stands beside the others."""

    NAMES = ("visit_count", "visit_count_30d", "product_count_90d", "new_product_count_30d", "category_count_30d")

    def counts(self, *orders):
        rows = snapshot(shop(orders), [CUTOFF], [feature(name) for name in self.NAMES]).execute()
        return rows[list(self.NAMES)].iloc[0].tolist()

    def corrected(self, hour, *lines):
        return Order(at=at(90, hour), lines=lines).then(Order(at=at(90, hour), received_at=at(101)))

    @pytest.mark.parametrize("hour", [7, 11])
    def test_a_day_is_one_visit_whichever_of_its_orders_is_corrected(self, hour):
        assert self.counts(Order(at=at(90, 9)), self.corrected(hour, Line())) == [1, 1, 1, 1, 1]

    def test_a_product_on_two_lines_is_one(self):
        assert self.counts(self.corrected(9, Line(), Line())) == [1, 1, 1, 1, 1]

    def test_what_was_bought_before_is_not_new(self):
        assert self.counts(Order(at=at(20)), self.corrected(9, Line(), Line(product="bread"))) == [2, 1, 2, 1, 2]


def test_products_need_no_category():
    tables = shop([Order(at=at(99))], products=[Product(id="milk")])
    rows = snapshot(tables, [CUTOFF], [feature("category_count_30d"), feature("product_count_90d")]).execute()
    assert rows[["category_count_30d", "product_count_90d"]].to_numpy().tolist() == [[0.0, 1.0]]


class TestCompleteJourney:
    """150 households at three cutoffs, every feature, beside the pandas of benchmarks/."""

    CUTOFFS = tuple(
        pd.Timestamp(day, tz="America/New_York").tz_convert("UTC").to_pydatetime()
        for day in ("2017-02-20", "2017-07-03", "2018-01-01")
    )

    @pytest.fixture(scope="class")
    def sample(self):
        connection = ibis.duckdb.connect()
        read = read_source("complete-journey").tables
        told = {name: read[name].cast(dict(contract.columns)) for name, contract in FACTS.items()}
        begun = begin({name: connection.create_table(f"told_{name}", table) for name, table in told.items()}).tables
        facts = {name: connection.create_table(name, begun[name]) for name in NEEDED_FACTS}
        chosen = facts["orders"].select("customer_id").distinct().order_by("customer_id").limit(150)
        few = {"orders": facts["orders"].semi_join(chosen, "customer_id")}
        few["events"] = facts["events"].semi_join(chosen, "customer_id")
        few["order_lines"] = facts["order_lines"].semi_join(few["orders"], "order_id")
        kept = {name: connection.create_table(f"few_{name}", table) for name, table in few.items()}
        yield connection, facts | kept
        connection.disconnect()

    def test_every_feature_is_what_pandas_says(self, sample):
        connection, facts = sample
        ours = connection.to_pyarrow(snapshot(facts, self.CUTOFFS, has_corrections=False)).to_pandas()
        frames = {name: as_frame(connection.to_pyarrow(table)) for name, table in facts.items()}
        oracle = pandas_features(frames, self.CUTOFFS)
        assert len(ours) > 400
        assert set(ours.columns) - set(oracle.columns) == {RECORD}
        for name in oracle.columns:
            # On this shop they agree bit for bit; nothing is rounded away.
            assert (ours[name].eq(oracle[name]) | (ours[name].isna() & oracle[name].isna())).all(), name
